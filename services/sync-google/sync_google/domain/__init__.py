"""Decides: what to write into Google, what its events block, and what its refusals mean."""

from sync_google.domain.busy import (
    Interval,
    Item,
    Window,
    blocked_user,
    by_week,
    merged,
    monday,
    week_name,
    weeks_of,
    whole_days,
)
from sync_google.domain.pushing import (
    SETTLE,
    Change,
    Draft,
    Insert,
    Made,
    Remove,
    Rest,
    Step,
    draft_of,
    event_id,
    next_step,
    parts_of,
    subject_of,
)
from sync_google.domain.trouble import (
    AccessLost,
    Changed,
    Missing,
    NoAnswer,
    QuotaSpent,
    Rejected,
    SyncExpired,
    Taken,
    TokenRejected,
    TooMany,
    Trouble,
)
