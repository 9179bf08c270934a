"""Decides which sessions need an online meeting, and what to do next so that there is exactly one."""

from meetings.domain.budget import allowance, is_urgent, midnight_after, release_after
from meetings.domain.provider import (
    Adapter,
    Draft,
    Found,
    NotReached,
    NotThere,
    ProviderTrouble,
    Refusal,
    Rejected,
    ScopeLost,
    TokenRejected,
    TooMany,
    Unsure,
)
from meetings.domain.seats import Access, Place, Seat, Wanted, fold, seat_of
from meetings.domain.shown import Trouble, failed, pending, shown
from meetings.domain.steps import (
    SETTLE,
    Create,
    Drop,
    Edit,
    LookLater,
    LookUp,
    Made,
    NoAccess,
    Rest,
    Step,
    World,
    next_step,
)
