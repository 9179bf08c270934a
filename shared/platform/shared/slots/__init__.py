"""What may be booked, and what can be offered: one engine for both, pure and in integers.

Times are epoch milliseconds, intervals half-open, zones IANA names. All questions are asked in the
same words:

`busy`        everything that occupies a host, a room or equipment, by its id: of all calendars and
              none, this calendar's own sessions included. Under the calendar's own id: what blocks
              it, whoever the host.
`seats`       this calendar's sessions by (host, start), a collective one under each of its hosts;
              needed only where a session has or had more than one seat.
`day_counts`  this calendar's occupying appointments by local date; needed only with `per_day`.
`leave_out`   an appointment that is being moved: answered as if it were gone.

What each rule means stands in docs/decisions/0006-slot-rules.md.
"""

from shared.slots.busy import Busy, Seats
from shared.slots.engine import Reason, Verdict, may_book
from shared.slots.explain import explain
from shared.slots.leaving import Leaving
from shared.slots.offer import Slot, answer, free_slots, free_starts
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
    "answer",
    "day_of",
    "epoch_ms",
    "explain",
    "free_slots",
    "free_starts",
    "is_zone",
    "may_book",
    "moment",
    "present",
]
