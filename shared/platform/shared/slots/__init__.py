"""What may be booked, and what can be offered: one engine for both, pure and in integers.

Times are epoch milliseconds, intervals half-open, zones IANA names.
"""

from shared.slots.busy import Busy, Seats
from shared.slots.engine import (
    Leaving,
    Reason,
    Slot,
    Verdict,
    free_slots,
    free_starts,
    may_book,
)
from shared.slots.rules import Host, Rules
from shared.slots.texts import present
from shared.slots.zones import day_of, epoch_ms, is_zone, moment

__all__ = [
    "Busy",
    "Host",
    "Leaving",
    "Reason",
    "Rules",
    "Seats",
    "Slot",
    "Verdict",
    "day_of",
    "epoch_ms",
    "free_slots",
    "free_starts",
    "is_zone",
    "may_book",
    "moment",
    "present",
]
