"""Events as Kafka records: CloudEvents 1.0 in binary mode, a JSON body with sorted keys in UTF-8."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from pydantic import ValidationError

from hoop_events.base import Event, iso

Headers = Sequence[tuple[str, bytes | None]]

_SEQUENCE_DIGITS = 20


class Undecodable(Exception):
    """The record is no valid event; the text says why, and quotes no data of the record."""


class UnknownType(Exception):
    """An event of a type that the decoder was not given: newer, or not consumed."""


@dataclass(frozen=True)
class Envelope:
    """The attributes of an event, read from the headers of its record."""

    id: str
    type: str
    subject: str
    sequence: int
    account_id: str
    traceparent: str | None


def body(event: Event) -> bytes:
    """The bytes of the record's value."""
    data = event.model_dump(mode="json", by_alias=True)
    return orjson.dumps(data, option=orjson.OPT_SORT_KEYS)


def attributes(
    *,
    event_id: str,
    source: str,
    type: str,  # noqa: A002 -- CloudEvents calls it so
    subject: str,
    sequence: int,
    account_id: str,
    dataschema: str,
    time: datetime,
    traceparent: str | None,
) -> list[tuple[str, bytes]]:
    """The headers of a record: CloudEvents' Kafka protocol binding, and the W3C trace context."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_source": source,
        "ce_type": type,
        "ce_subject": subject,
        "ce_time": iso(time),
        "ce_dataschema": dataschema,
        "ce_partitionkey": subject,
        "ce_sequence": f"{sequence:0{_SEQUENCE_DIGITS}}",
        "ce_accountid": account_id,
        "content-type": "application/json",
    }
    if traceparent:
        headers["traceparent"] = traceparent
    return [(name, value.encode()) for name, value in headers.items()]


def envelope(headers: Headers) -> Envelope:
    """Read the headers, of equal names the last one. Raises `Undecodable` if a required one is missing."""
    found = {name: value for name, value in headers if value is not None}

    def text(name: str) -> str:
        try:
            return found[name].decode()
        except (KeyError, UnicodeDecodeError) as error:
            raise Undecodable(f"header {name} is missing or not UTF-8") from error

    sequence = text("ce_sequence")
    if not (sequence.isascii() and sequence.isdigit() and len(sequence) <= _SEQUENCE_DIGITS):
        raise Undecodable("header ce_sequence is not a number")
    try:
        traceparent = found["traceparent"].decode("ascii")
    except (KeyError, UnicodeDecodeError):
        traceparent = None
    return Envelope(
        id=text("ce_id"),
        type=text("ce_type"),
        subject=text("ce_subject"),
        sequence=int(sequence),
        account_id=text("ce_accountid"),
        traceparent=traceparent,
    )


def decode(
    meta: Envelope, value: bytes, types: Iterable[type[Event]] | Mapping[str, type[Event]]
) -> Event:
    """The event, checked against its contract and its envelope, with its `event_id`.

    `types` are the known event types; a mapping by name saves building one for each record. Raises
    `UnknownType` or `Undecodable`.
    """
    known = types if isinstance(types, Mapping) else {kind.type: kind for kind in types}
    kind = known.get(meta.type)
    if kind is None:
        raise UnknownType(meta.type)
    try:
        event = kind.model_validate_json(value)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, e["loc"])) or e["type"] for e in error.errors()[:5])
        raise Undecodable(f"{meta.type} breaks its schema at: {fields}") from None
    named = (meta.subject, meta.sequence, meta.account_id)
    if named != (event.subject, event.sequence, event.account_id):
        raise Undecodable(f"{meta.type}: headers and body name different facts")
    return event.with_event_id(meta.id)
