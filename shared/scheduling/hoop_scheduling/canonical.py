"""What occupies time and by which rules, as text that two services can compare byte by byte.

One JSON object a line, keys sorted, lines sorted. booking writes it from its tables, availability
from its read model; where both have seen the same, the texts are equal.

| `kind`     | says |
|---|---|
| `calendar` | a calendar that is not deleted: zone and the settings that the slot engine reads |
| `schedule`, `block`, `resource` | what is not deleted of these, as far as the slot engine reads it |
| `hold`     | a seat that is kept beyond the asked instant |
| `occupied` | a host, room or piece of equipment in a session: [start, end), buffers, seats taken |
| `external` | a time that somebody's other calendar blocks |

Instants are epoch milliseconds, buffers minutes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

Document = Mapping[str, Any]
"""A state as its event spells it: camelCase."""

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
    """A hold: its seat, and until when it counts."""

    id: str
    seat: OccupiedTime
    expires_at: int


@dataclass(frozen=True)
class ExternalBusy:
    """A busy time of a connection's week; it blocks `resource`, a user or a calendar."""

    account_id: str
    connection_id: str
    week: str
    resource: str
    start: int
    end: int


def text(lines: Iterable[bytes]) -> bytes:
    """The lines in their one order."""
    return b"".join(line + b"\n" for line in sorted(lines))


def calendar(account_id: str, calendar_id: str, zone: str, settings: Document) -> bytes:
    read = {name: settings[name] for name in CALENDAR_FIELDS & settings.keys()}
    team = [
        {name: member[name] for name in _MEMBER_FIELDS if member.get(name) is not None}
        for member in settings.get("teamMembers") or ()
    ]
    said = {name: value for name, value in read.items() if value is not None}
    return _line("calendar", account_id, id=calendar_id, zone=zone, settings=said, team=team)


def schedule(account_id: str, state: Document) -> bytes:
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


def resource(account_id: str, state: Document) -> bytes:
    return _line(
        "resource",
        account_id,
        id=state["id"],
        type=state["resourceType"],
        active=state["isActive"],
        units=state["quantity"] - state["outOfService"],
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
    """Lines of all that is occupied, and of the holds that count at that instant.

    A session lasts as long as the longest of its seats.
    """
    kept = [hold for hold in holds if hold.expires_at > at]
    sessions: dict[tuple[str, str], list[OccupiedTime]] = {}
    for seat in (*seats, *(hold.seat for hold in kept)):
        sessions.setdefault((seat.account_id, seat.session), []).append(seat)
    for taken in sessions.values():
        yield from _session(taken)
    for hold in kept:
        yield _hold(hold)


def _session(taken: list[OccupiedTime]) -> Iterator[bytes]:
    first = taken[0]
    for resource_id in (*first.hosts, *first.resources):
        yield _line(
            "occupied",
            first.account_id,
            resource=resource_id,
            calendar=first.calendar_id,
            session=first.session,
            start=first.start,
            end=max(seat.end for seat in taken),
            before=max(seat.before for seat in taken),
            after=max(seat.after for seat in taken),
            seats=len(taken),
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


def _line(kind: str, account_id: str, **said: Any) -> bytes:  # numbers, texts, lists of these
    return orjson.dumps({"kind": kind, "account": account_id, **said}, option=orjson.OPT_SORT_KEYS)
