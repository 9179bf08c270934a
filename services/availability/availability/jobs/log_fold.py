"""Folds the records of all topics into the last state of every aggregate, as rows for COPY.

The result equals that of the event handlers, at some microseconds a record: events of appointments
are read by hand, and decoded by their contract if anything in them is unusual, as all others are.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from struct import Struct
from typing import Any, NamedTuple

from orjson import loads

from availability import domain
from availability.domain import Kind, SubjectOccupancy, split_into_blocks, versions_of
from hoop_events.base import Event, Gone
from hoop_events.booking import Appointment, AppointmentEvent, HoldChanged, HoldDeleted
from hoop_events.calendars import BlockSlotChanged, BlockSlotDeleted
from hoop_events.codec import Undecodable, decode, envelope
from hoop_events.effects import ExternalBusyChanged
from hoop_platform.ids import unspell
from hoop_platform.kafka.batch import Record
from hoop_scheduling.zones import epoch_ms

Subject = tuple[Kind, str, int]
"""(kind, id, week): the rows of one subject are replaced together."""

_pack = Struct(">hi16si16siiiqiqiiiiiiiiii16si16si16sis").pack
"""A row of `occupied` of an appointment in COPY's binary format: each field after its length."""
_REQUIRED = frozenset(
    name.alias or key for key, name in Appointment.model_fields.items() if name.is_required()
)
_MAX_CACHED = 200_000
UNUSABLE = (Undecodable, ValueError, KeyError, TypeError, OverflowError)
"""Of a record that the consumer sets aside as a dead letter: not decodable, or no time can be made of
it (a zone that does not exist). One such record must not end a rebuild."""


class LatestState(NamedTuple):
    """The last state of a calendar, schedule, room or equipment; None after its deletion."""

    account_id: str
    state: Any


class _Ids(dict[str, bytes]):
    """The 16 bytes of each id."""

    def __missing__(self, text: str) -> bytes:
        raw = self[text] = unspell(text)
        return raw


class _Instants(dict[str, int]):
    """Epoch milliseconds of each instant as events spell it; ValueError for other spellings."""

    def __missing__(self, text: str) -> int:
        if len(text) != len("2027-03-01T09:00:00.000Z") or text[-1] != "Z":
            raise ValueError("not the spelling of our events")
        if len(self) > _MAX_CACHED:
            self.clear()
        found = self[text] = epoch_ms(datetime.fromisoformat(text))
        return found


class _Days(dict[tuple[int, str], int]):
    """The day number of each (instant, zone)."""

    def __missing__(self, key: tuple[int, str]) -> int:
        if len(self) > _MAX_CACHED:
            self.clear()
        found = self[key] = domain.day_number(*key)
        return found


class LogFold:
    """The last state of every aggregate. As in the inbox, records that are not newer are dropped."""

    def __init__(self, types: Iterable[type[Event]]) -> None:
        self._types = {event.type: event for event in types}
        self._appointments = frozenset(
            name.encode()
            for name, event in self._types.items()
            if issubclass(event, AppointmentEvent)
        )
        self.newest: dict[str, dict[str, int]] = {e.topic: {} for e in self._types.values()}
        self.rows: dict[Subject, bytes] = {}
        """The rows of each subject in COPY's format; empty for a subject that occupies nothing."""
        self.states: dict[str, dict[str, LatestState]] = {
            "calendar": {},
            "schedule": {},
            "asset": {},
        }
        self.versions: dict[str, dict[str, int]] = {}
        self.undecodable: list[str] = []
        """Descriptions of records that the consumer would set aside as dead letters."""
        self.count = 0
        self.tracking = False
        """Whether everything was written once, so that changes since then are tracked."""
        self.changed: set[Subject] = set()
        """Subjects whose rows changed since the last `mark_written`."""
        self.applied: set[tuple[str, str]] = set()
        """(topic, subject) of the records applied since the last `mark_written`."""
        self._ids, self._instants, self._days = _Ids(), _Instants(), _Days()

    def mark_written(self) -> None:
        """Everything so far, versions included, is in the shadow tables: forget tracked changes."""
        self.tracking = True
        self.changed, self.applied, self.versions = set(), set(), {}

    def add(self, topic: str, records: Sequence[Record]) -> None:
        """Fold further records of one partition, in order."""
        newest, apply = self.newest[topic], self._apply
        self.count += len(records)
        for record in records:
            if record.value is None or record.key is None:
                continue
            subject = record.key.decode("utf-8", "replace")
            try:
                sequence = apply(record, subject, newest.get(subject, 0))
            except UNUSABLE as error:
                self.undecodable.append(f"{topic}/{record.partition}/{record.offset}: {error}")
                continue
            if sequence:
                newest[subject] = sequence
                if self.tracking:
                    self.applied.add((topic, subject))

    def _apply(self, record: Record, subject: str, newest: int) -> int:
        """Apply one record; returns its sequence, or 0 if it is old or of a type not consumed."""
        headers = dict(record.headers)
        if headers.get("ce_type") in self._appointments:
            try:
                return self._apply_appointment(headers, record.value, subject, newest)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError):
                pass  # decoding by the contract finds what is wrong, if anything is
        return self._apply_decoded(record, subject, newest)

    def _apply_appointment(
        self, headers: Mapping[str, bytes | None], value: bytes | None, subject: str, newest: int
    ) -> int:
        sequence = int(headers["ce_sequence"] or b"")
        if sequence <= newest:
            return 0
        body = loads(value or b"")
        state, account_id = body["state"], body["accountId"]
        if (
            state["id"] != subject
            or state["sequence"] != sequence
            or headers["ce_accountid"] != account_id.encode()
            or headers["ce_subject"] != subject.encode()
        ):
            raise ValueError("headers and body name different facts")
        if not state.keys() >= _REQUIRED:
            raise ValueError("a field is missing")
        key: Subject = ("a", subject, 0)
        self.rows[key] = self._seat_rows(account_id, state) if state["occupies"] is True else b""
        if self.tracking:
            self.changed.add(key)
        self._raise_versions(account_id, state["versions"])
        return sequence

    def _seat_rows(self, account_id: str, state: Mapping[str, Any]) -> bytes:
        ids, instants = self._ids, self._instants
        start, end = instants[state["startTime"]], instants[state["endTime"]]
        day = self._days[start, state["timeZone"]]
        before, after = state["bufferBefore"], state["bufferAfter"]
        account, subject = ids[account_id], unspell(state["id"])
        calendar, session = ids[state["calendarId"]], unspell(state["session"])
        if 0 < end - start <= domain.WEEK:
            pieces: Sequence[domain.Piece] = ((start // domain.BLOCK, start, end),)
        else:
            pieces = split_into_blocks(start, end)
        # fmt: off
        rows = [
            _pack(14, 16, account, 16, ids[resource], 4, block, 8, starts, 8, ends, -1, 4, before,
                  4, after, 4, 0, 4, day, 16, subject, 16, calendar, 16, session, 1, b"a")
            for resource in (*state["hosts"], *state["resources"])
            for block, starts, ends in pieces
        ]
        # fmt: on
        return rows[0] if len(rows) == 1 else b"".join(rows)

    def _apply_decoded(self, record: Record, subject: str, newest: int) -> int:
        meta = envelope(record.headers)
        if meta.type not in self._types:
            return 0
        event = decode(meta, record.value or b"", self._types)
        if subject != event.subject:
            raise Undecodable("the record's key is not its aggregate's id")
        if event.sequence <= newest:
            return 0
        self._store(event)
        self._raise_versions(event.account_id, versions_of(event.state))
        return event.sequence

    def _store(self, event: Event) -> None:
        occupancy = _occupancy(event)
        if occupancy is not None:
            key = (occupancy.kind, occupancy.subject, occupancy.week)
            self.rows[key] = _rows(event.account_id, occupancy)
            if self.tracking:
                self.changed.add(key)
            return
        table = {"calendars": "calendar", "schedules": "schedule", "resources": "asset"}[
            event.topic
        ]
        gone = isinstance(event.state, Gone)
        state = None if gone else event.state.model_dump(mode="json", by_alias=True)
        self.states[table][event.subject] = LatestState(event.account_id, state)

    def _raise_versions(self, account_id: str, versions: Mapping[str, int]) -> None:
        known = self.versions.setdefault(account_id, {})
        for id_, version in versions.items():
            if version > known.get(id_, 0):
                known[id_] = version


_OCCUPANCIES: Mapping[type[Event], Callable[[Any], SubjectOccupancy]] = {
    HoldChanged: lambda event: domain.hold_occupancy(event.state),
    HoldDeleted: lambda event: SubjectOccupancy("h", event.subject),
    BlockSlotChanged: lambda event: domain.block_slot_occupancy(event.state),
    BlockSlotDeleted: lambda event: SubjectOccupancy("b", event.subject),
    ExternalBusyChanged: lambda event: domain.busy_week_occupancy(event.state),
}


def _occupancy(event: Event) -> SubjectOccupancy | None:
    if isinstance(event, AppointmentEvent):
        return domain.appointment_occupancy(event.state)
    make = _OCCUPANCIES.get(type(event))
    return make(event) if make else None


def _rows(account_id: str, occupancy: SubjectOccupancy) -> bytes:
    account, subject = unspell(account_id), unspell(occupancy.subject)
    calendar = unspell(occupancy.calendar) if occupancy.calendar else None
    session = unspell(occupancy.session) if occupancy.session else None
    return b"".join(
        copy_row(
            account, unspell(resource), _int4(block), _int8(starts), _int8(ends), _int8(occupancy.expires),
            _int4(occupancy.before), _int4(occupancy.after), _int4(occupancy.week), _int4(occupancy.day),
            subject, calendar, session, occupancy.kind.encode(),
        )
        for resource in occupancy.resources
        for block, starts, ends in occupancy.pieces
    )  # fmt: skip


def copy_row(*fields: bytes | None) -> bytes:
    """A row in COPY's binary format; None is NULL."""
    parts = [len(fields).to_bytes(2, "big")]
    for field in fields:
        parts.append((-1 if field is None else len(field)).to_bytes(4, "big", signed=True))
        parts.append(field or b"")
    return b"".join(parts)


def _int4(number: int | None) -> bytes | None:
    return None if number is None else number.to_bytes(4, "big", signed=True)


def _int8(number: int | None) -> bytes | None:
    return None if number is None else number.to_bytes(8, "big", signed=True)
