"""The fold: records of all topics, in order, to the last state of everything, ready to be copied.

It must come to what the handlers come to, at some microseconds a record. So the common events are
read by hand; whatever looks odd in one is left to the contract, as everything else is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from struct import Struct
from typing import Any, NamedTuple

from orjson import loads

from availability import domain
from availability.domain import Kind, Occupancy
from hoop_events.base import Event, Gone
from hoop_events.booking import Appointment, AppointmentEvent, HoldChanged, HoldDeleted
from hoop_events.calendars import BlockSlotChanged, BlockSlotDeleted
from hoop_events.codec import Undecodable, decode, envelope
from hoop_events.effects import ExternalBusyChanged
from hoop_platform.ids import unspell
from hoop_platform.kafka.batch import Record
from hoop_scheduling.zones import epoch_ms

Subject = tuple[Kind, str, int]
"""(kind, id, part): whose rows are replaced together."""

_pack = Struct(">hi16si16siiiqiqiiiiiiiiii16si16si16sis").pack
"""A row of `occupied` of an appointment as COPY takes it: each field with its length before it."""
_REQUIRED = frozenset(
    name.alias or key for key, name in Appointment.model_fields.items() if name.is_required()
)
_MOST_KEPT = 200_000


class Document(NamedTuple):
    """The last state of a calendar, a schedule, a room or equipment; None: it is gone."""

    account_id: str
    state: Any


class _Ids(dict[str, bytes]):
    def __missing__(self, text: str) -> bytes:
        raw = self[text] = unspell(text)
        return raw


class _Instants(dict[str, int]):
    """Epoch milliseconds of an instant as our events spell it."""

    def __missing__(self, text: str) -> int:
        if len(text) != len("2027-03-01T09:00:00.000Z") or text[-1] != "Z":
            raise ValueError("spelled otherwise")
        if len(self) > _MOST_KEPT:
            self.clear()
        found = self[text] = epoch_ms(datetime.fromisoformat(text))
        return found


class _Days(dict[tuple[int, str], int]):
    def __missing__(self, key: tuple[int, str]) -> int:
        if len(self) > _MOST_KEPT:
            self.clear()
        found = self[key] = domain.day_number(*key)
        return found


class Fold:
    """The last state of everything, by the rule of the gate: what is not newer is dropped."""

    def __init__(self, types: Iterable[type[Event]]) -> None:
        self._types = {event.type: event for event in types}
        self._appointments = frozenset(
            name.encode()
            for name, event in self._types.items()
            if issubclass(event, AppointmentEvent)
        )
        self.newest: dict[str, dict[str, int]] = {e.topic: {} for e in self._types.values()}
        self.rows: dict[Subject, bytes] = {}
        """The rows of each subject as COPY takes them; none left: empty."""
        self.documents: dict[str, dict[str, Document]] = {
            "calendar": {},
            "schedule": {},
            "asset": {},
        }
        self.versions: dict[str, dict[str, int]] = {}
        self.refused: list[str] = []
        """Records that no handler would take either."""
        self.count = 0
        self.noting = False
        """Whether all was written down once, so that only what is new matters."""
        self.touched: set[Subject] = set()
        """Whose rows have changed since all was written down."""
        self.heard: set[tuple[str, str]] = set()
        """(topic, subject) of what was taken in since then."""
        self._ids, self._instants, self._days = _Ids(), _Instants(), _Days()

    def written(self) -> None:
        """Everything is written down; versions are known there, too."""
        self.noting = True
        self.touched, self.heard, self.versions = set(), set(), {}

    def take(self, topic: str, records: Sequence[Record]) -> None:
        """Records of one partition, in order."""
        newest, sequences = self.newest[topic], self._sequence
        self.count += len(records)
        for record in records:
            if record.value is None or record.key is None:
                continue
            subject = record.key.decode("utf-8", "replace")
            try:
                sequence = sequences(record, subject, newest.get(subject, 0))
            except Undecodable as error:
                self.refused.append(f"{topic}/{record.partition}/{record.offset}: {error}")
                continue
            if sequence:
                newest[subject] = sequence
                if self.noting:
                    self.heard.add((topic, subject))

    def _sequence(self, record: Record, subject: str, newest: int) -> int:
        """Take one record in; its sequence, or 0 if it is old or not for us."""
        said = dict(record.headers)
        if said.get("ce_type") in self._appointments:
            try:
                return self._appointment(said, record.value, subject, newest)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError):
                pass  # the contract says what is wrong with it, if anything is
        return self._by_contract(record, subject, newest)

    def _appointment(
        self, said: Mapping[str, bytes | None], value: bytes | None, subject: str, newest: int
    ) -> int:
        sequence = int(said["ce_sequence"] or b"")
        if sequence <= newest:
            return 0
        body = loads(value or b"")
        state, account_id = body["state"], body["accountId"]
        if (
            state["id"] != subject
            or state["sequence"] != sequence
            or said["ce_accountid"] != account_id.encode()
            or said["ce_subject"] != subject.encode()
        ):
            raise ValueError("headers and body name different facts")
        if not state.keys() >= _REQUIRED:
            raise ValueError("a field is missing")
        key: Subject = ("a", subject, 0)
        self.rows[key] = self._seat(account_id, state) if state["occupies"] is True else b""
        if self.noting:
            self.touched.add(key)
        self._note_versions(account_id, state["versions"])
        return sequence

    def _seat(self, account_id: str, state: Mapping[str, Any]) -> bytes:
        ids, instants = self._ids, self._instants
        start, end = instants[state["startTime"]], instants[state["endTime"]]
        day = self._days[start, state["timeZone"]]
        before, after = state["bufferBefore"], state["bufferAfter"]
        account, subject = ids[account_id], unspell(state["id"])
        calendar, session = ids[state["calendarId"]], unspell(state["session"])
        if 0 < end - start <= domain.WEEK:
            pieces: Sequence[domain.Piece] = ((start // domain.BLOCK, start, end),)
        else:
            pieces = domain.cut(start, end)
        # fmt: off
        rows = [
            _pack(14, 16, account, 16, ids[who], 4, block, 8, starts, 8, ends, -1, 4, before,
                  4, after, 4, 0, 4, day, 16, subject, 16, calendar, 16, session, 1, b"a")
            for who in (*state["hosts"], *state["resources"])
            for block, starts, ends in pieces
        ]
        # fmt: on
        return rows[0] if len(rows) == 1 else b"".join(rows)

    def _by_contract(self, record: Record, subject: str, newest: int) -> int:
        meta = envelope(record.headers)
        if meta.type not in self._types:
            return 0
        event = decode(meta, record.value or b"", self._types)
        if subject != event.subject:
            raise Undecodable("the record's key is not its aggregate's id")
        if event.sequence <= newest:
            return 0
        self._keep(event)
        self._note_versions(event.account_id, getattr(event.state, "versions", {}))
        return event.sequence

    def _keep(self, event: Event) -> None:
        occupancy = _occupancy(event)
        if occupancy is not None:
            key = (occupancy.kind, occupancy.subject, occupancy.part)
            self.rows[key] = _rows(event.account_id, occupancy)
            if self.noting:
                self.touched.add(key)
            return
        table = {"calendars": "calendar", "schedules": "schedule", "resources": "asset"}[
            event.topic
        ]
        gone = isinstance(event.state, Gone)
        state = None if gone else event.state.model_dump(mode="json", by_alias=True)
        self.documents[table][event.subject] = Document(event.account_id, state)

    def _note_versions(self, account_id: str, versions: Mapping[str, int]) -> None:
        known = self.versions.setdefault(account_id, {})
        for id_, version in versions.items():
            if version > known.get(id_, 0):
                known[id_] = version


_OF: Mapping[type[Event], Callable[[Any], Occupancy]] = {
    HoldChanged: lambda event: domain.of_hold(event.state),
    HoldDeleted: lambda event: Occupancy("h", event.subject),
    BlockSlotChanged: lambda event: domain.of_block_slot(event.state),
    BlockSlotDeleted: lambda event: Occupancy("b", event.subject),
    ExternalBusyChanged: lambda event: domain.of_week(event.state),
}


def _occupancy(event: Event) -> Occupancy | None:
    if isinstance(event, AppointmentEvent):
        return domain.of_appointment(event.state)
    make = _OF.get(type(event))
    return make(event) if make else None


def _rows(account_id: str, what: Occupancy) -> bytes:
    account, subject = unspell(account_id), unspell(what.subject)
    calendar = unspell(what.calendar) if what.calendar else None
    session = unspell(what.session) if what.session else None
    return b"".join(
        copied(
            account, unspell(who), _int4(block), _int8(starts), _int8(ends), _int8(what.expires),
            _int4(what.before), _int4(what.after), _int4(what.part), _int4(what.day),
            subject, calendar, session, what.kind.encode(),
        )
        for who in what.resources
        for block, starts, ends in what.pieces
    )  # fmt: skip


def copied(*fields: bytes | None) -> bytes:
    """A row as COPY takes it in its binary format."""
    parts = [len(fields).to_bytes(2, "big")]
    for field in fields:
        parts.append((-1 if field is None else len(field)).to_bytes(4, "big", signed=True))
        parts.append(field or b"")
    return b"".join(parts)


def _int4(number: int | None) -> bytes | None:
    return None if number is None else number.to_bytes(4, "big", signed=True)


def _int8(number: int | None) -> bytes | None:
    return None if number is None else number.to_bytes(8, "big", signed=True)
