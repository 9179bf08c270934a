"""The plan: which meeting a session should have at its provider, given what exists there."""

from datetime import datetime

from hoop_platform.reconcile.observed_state import ExternalObject, ObservedState
from hoop_platform.reconcile.plan import InSync, LostCalls, Step, next_step
from meetings.domain.sessions import DesiredMeeting


def plan(
    desired: DesiredMeeting, observed: ObservedState, *, lost_calls: LostCalls, now: datetime
) -> Step:
    """The next step towards exactly one meeting if one is needed, and none otherwise.

    After the session's end nothing is changed any more. A meeting that an ended connection has left
    behind serves the session: no second one is made.
    """
    if desired.end <= now:
        return InSync()
    needed = desired.phase == "needed" and not (observed.live is None and detached(observed))
    return next_step(desired.content if needed else None, observed, lost_calls=lost_calls)


def detached(observed: ObservedState) -> ExternalObject | None:
    """The meeting of an ended connection: it stays at the provider, and its link is shown."""
    past = [
        found
        for found in observed.objects
        if found not in observed.ours and found.state in ("live", "abandoned")
    ]
    return next((found for found in past if join_url(found)), None)


def join_url(meeting: ExternalObject) -> str | None:
    """The meeting's link, if it was verified."""
    url: str | None = meeting.data.get("joinUrl")
    return url
