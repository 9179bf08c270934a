"""What a client says of an appointment: the newcomer, and what is to be different."""

from dataclasses import dataclass
from datetime import datetime

OCCUPYING = frozenset({"new", "confirmed", "active", "showed", "noshow", "completed"})
CONFIRMED = OCCUPYING - {"new"}


@dataclass(frozen=True)
class Patch:
    """What a client wants to be different; None: as it is (or, at creation, the default)."""

    calendar_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    host: str | None = None
    status: str | None = None
    place: str | None = None
    title: str | None = None
    description: str | None = None
    address: str | None = None
    notify: bool = True
    ignore_range: bool = False
    ignore_rules: bool = False
    delete: bool = False
    actor: str | None = None


@dataclass(frozen=True)
class Newcomer:
    """What a client says of a new appointment besides the time."""

    id: str
    contact_id: str
    contact_name: str
