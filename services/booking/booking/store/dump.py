"""The canonical dump: everything that takes time, in the lines that availability dumps as well."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

from hoop_platform.db.database import Row, Tx
from hoop_scheduling import canonical
from hoop_scheduling.canonical import ExternalBusy, HeldTime, OccupiedTime
from hoop_scheduling.zones import epoch_ms

_CALENDARS = "SELECT * FROM calendar WHERE deleted_at IS NULL"
_SCHEDULES = "SELECT account_id, state FROM schedule WHERE deleted_at IS NULL"
_RESOURCES = "SELECT account_id, state FROM resource WHERE deleted_at IS NULL"
_BLOCKS = "SELECT * FROM block_slot WHERE deleted_at IS NULL"
_EXTERNAL = "SELECT * FROM external_busy"
_OCCUPANTS = "SELECT * FROM appointment WHERE occupies"

TIMEOUT = 600.0
"""Seconds for one statement, which reads a whole table."""


async def get_dump(db: Tx, *, at: datetime) -> bytes:
    """The dump at an instant, as text. The transaction must be repeatable read, to see one state."""
    read = partial(db.fetch, timeout=TIMEOUT)
    lines = [
        *(_calendar(row) for row in await read(_CALENDARS)),
        *(canonical.schedule(row["account_id"], row["state"]) for row in await read(_SCHEDULES)),
        *(canonical.resource(row["account_id"], row["state"]) for row in await read(_RESOURCES)),
        *(_block(row) for row in await read(_BLOCKS)),
        *(_external(row) for row in await read(_EXTERNAL)),
        *_occupied(await read(_OCCUPANTS), at),
    ]
    return canonical.text(lines)


def _calendar(row: Row) -> bytes:
    return canonical.calendar(row["account_id"], row["id"], row["time_zone"], row["settings"])


def _block(row: Row) -> bytes:
    during = row["during"]
    start, end = epoch_ms(during.lower), epoch_ms(during.upper)
    return canonical.block(row["account_id"], row["id"], row["blocks"], start, end)


def _external(row: Row) -> bytes:
    during = row["during"]
    return canonical.external(
        ExternalBusy(
            account_id=row["account_id"],
            connection_id=row["connection_id"],
            week=row["week"],
            resource=row["bookable_id"],
            start=epoch_ms(during.lower),
            end=epoch_ms(during.upper),
        )
    )


def _occupied(rows: Sequence[Row], at: datetime) -> Iterator[bytes]:
    held = [
        HeldTime(row["id"], _occupied_time(row), epoch_ms(row["held_until"]))
        for row in rows
        if row["held_until"] is not None
    ]
    occupied = [_occupied_time(row) for row in rows if row["held_until"] is None]
    return canonical.occupied(occupied, held, at=epoch_ms(at))


def _occupied_time(row: Row) -> OccupiedTime:
    state = row["state"]
    return OccupiedTime(
        account_id=row["account_id"],
        session=row["session_id"],
        calendar_id=row["calendar_id"],
        hosts=tuple(state["hosts"]),
        resources=tuple(state.get("resources", ())),
        start=epoch_ms(row["starts"]),
        end=epoch_ms(row["ends"]),
        before=state.get("bufferBefore", 0),
        after=state.get("bufferAfter", 0),
    )
