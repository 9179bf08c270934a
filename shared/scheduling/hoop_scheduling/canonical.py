"""Occupied times and rules as canonical text, which two services can compare byte by byte.

One JSON object a line, keys sorted, lines sorted. booking writes it from its tables, availability
from its read model; after the same events, the texts are equal.

| `kind`     | is |
|---|---|
| `calendar` | a calendar that is not deleted: zone and the settings that the slot engine reads |
| `schedule`, `block`, `resource` | one that is not deleted: the fields that the slot engine reads |
| `hold`     | a hold that expires after the instant of the text |
| `occupied` | a host, room or piece of equipment in a session: [start, end), buffers, seats taken |
| `external` | a busy time of a connected calendar |

Instants are epoch milliseconds, buffers minutes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

JsonObject = Mapping[str, Any]
"""A state as its event spells it, in camelCase."""

CALENDAR_FIELDS = frozenset(
    {
        "allowBookingAfter",
        "allowBookingAfterUnit",
        "allowBookingFor",
        "allowBookingForUnit",
        "appoinmentPerDay",
        "appoinmentPerSlot",
        "availabilities",
        "availabilityType",
        "calendarType",
        "eventType",
        "isActive",
        "lookBusyConfig",
        "needsHost",
        "openHours",
        "preBuffer",
        "preBufferUnit",
        "slotBuffer",
        "slotBufferUnit",
        "slotDuration",
        "slotDurationUnit",
        "slotInterval",
        "slotIntervalUnit",
    }
)
"""The settings that the slot engine reads, besides the team."""
_MEMBER_FIELDS = ("userId", "priority", "isPrimary")


@dataclass(frozen=True)
class OccupiedTime:
    """An appointment that occupies time, or a hold: one seat of a session."""

    account_id: str
    session: str
    calendar_id: str
    hosts: tuple[str, ...]
    resources: tuple[str, ...]
    start: int
    end: int
    before: int
    after: int


@dataclass(frozen=True)
class HeldTime:
    """A hold: its seat, and the instant at which it expires."""

    id: str
    seat: OccupiedTime
    expires_at: int


@dataclass(frozen=True)
class ExternalBusy:
    """A busy time of a connection's week; `resource` is the blocked user or calendar."""

    account_id: str
    connection_id: str
    week: str
    resource: str
    start: int
    end: int


def text(lines: Iterable[bytes]) -> bytes:
    """The text of these lines: sorted, one newline after each."""
    return b"".join(line + b"\n" for line in sorted(lines))


def calendar(account_id: str, calendar_id: str, zone: str, settings: JsonObject) -> bytes:
    read = {name: settings[name] for name in CALENDAR_FIELDS & settings.keys()}
    team = [
        {name: member[name] for name in _MEMBER_FIELDS if member.get(name) is not None}
        for member in settings.get("teamMembers") or ()
    ]
    fields = {name: value for name, value in read.items() if value is not None}
    return _line("calendar", account_id, id=calendar_id, zone=zone, settings=fields, team=team)


def schedule(account_id: str, state: JsonObject) -> bytes:
    return _line(
        "schedule",
        account_id,
        id=state["id"],
        user=state.get("userId"),
        zone=state["timezone"],
        rules=[
            {name: value for name, value in rule.items() if value is not None}
            for rule in state["rules"]
        ],
        calendars=sorted(state["calendarIds"]),
    )


def block(account_id: str, block_id: str, blocks: str, start: int, end: int) -> bytes:
    return _line("block", account_id, id=block_id, blocks=blocks, start=start, end=end)


def resource(account_id: str, state: JsonObject) -> bytes:
    return _line(
        "resource",
        account_id,
        id=state["id"],
        type=state["resourceType"],
        active=state["isActive"],
        units=state["quantity"] - state["outOfService"],
        capacity=state["capacity"],
        calendars=sorted(state["calendarIds"]),
    )


def external(busy: ExternalBusy) -> bytes:
    return _line(
        "external",
        busy.account_id,
        connection=busy.connection_id,
        week=busy.week,
        resource=busy.resource,
        start=busy.start,
        end=busy.end,
    )


def occupied(
    seats: Iterable[OccupiedTime], holds: Iterable[HeldTime], *, at: int
) -> Iterator[bytes]:
    """Lines of occupied times, and of the holds that have not expired at that instant.

    A session lasts as long as the longest of its seats.
    """
    unexpired = [hold for hold in holds if hold.expires_at > at]
    sessions: dict[tuple[str, str], list[OccupiedTime]] = {}
    for seat in (*seats, *(hold.seat for hold in unexpired)):
        sessions.setdefault((seat.account_id, seat.session), []).append(seat)
    for members in sessions.values():
        yield from _session(members)
    for hold in unexpired:
        yield _hold(hold)


def _session(seats: list[OccupiedTime]) -> Iterator[bytes]:
    first = seats[0]
    for resource_id in (*first.hosts, *first.resources):
        yield _line(
            "occupied",
            first.account_id,
            resource=resource_id,
            calendar=first.calendar_id,
            session=first.session,
            start=first.start,
            end=max(seat.end for seat in seats),
            before=max(seat.before for seat in seats),
            after=max(seat.after for seat in seats),
            seats=len(seats),
        )


def _hold(hold: HeldTime) -> bytes:
    return _line(
        "hold",
        hold.seat.account_id,
        id=hold.id,
        session=hold.seat.session,
        start=hold.seat.start,
        end=hold.seat.end,
        until=hold.expires_at,
    )


def _line(kind: str, account_id: str, **fields: Any) -> bytes:  # numbers, texts, lists of these
    line = {"kind": kind, "account": account_id, **fields}
    return orjson.dumps(line, option=orjson.OPT_SORT_KEYS)
