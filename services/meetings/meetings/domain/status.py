"""The status of a session's meeting, as its appointments show it: the link, or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from hoop_events.booking import Meeting, MeetingState
from hoop_platform.reconcile.observed_state import ObservedAccount, ObservedState
from hoop_platform.reconcile.reconciler import Obstacle, ObstacleKind
from meetings.domain.plan import detached, join_url
from meetings.domain.sessions import DesiredMeeting


@dataclass(frozen=True)
class Condition:
    """Why there is no link: `reason` is a slug for programs, `message` a sentence for people."""

    state: MeetingState
    reason: str
    message: str
    expected_at: datetime | None = None


_OBSTACLES: Mapping[ObstacleKind, tuple[MeetingState, str, str]] = {
    "quota": (
        "pending",
        "daily_quota",
        "{name} allows no more changes today; the link follows after 00:00 UTC.",
    ),
    "down": (
        "pending",
        "provider_down",
        "{name} does not answer; the link follows as soon as it does.",
    ),
    "busy": ("pending", "provider_busy", "{name} asks us to wait; the link follows."),
    "rejected": ("failed", "rejected", "{name} refuses to make this meeting."),
    "unusable": (
        "failed",
        "unverifiable_link",
        "{name} answered with a link that does not lead to it.",
    ),
    "uncertain": (
        "failed",
        "uncertain",
        "{name} did not answer; whether the meeting exists is not known.",
    ),
}
_TOO_LATE = Condition("failed", "too_late", "The appointment was over before a link could be made.")
_UNCONFIRMED = Condition(
    "pending", "awaiting_confirmation", "The link is made when the appointment is confirmed."
)


def meeting_status(
    provider: str,
    label: str,
    desired: DesiredMeeting,
    observed: ObservedState,
    obstacle: Obstacle | None = None,
    *,
    now: datetime,
) -> Meeting:
    """The `meeting` of the session's appointments.

    `label`: the provider's name for people. `obstacle`: what ended the last attempt.
    """
    match desired.phase:
        case "unneeded":
            return _meeting(provider)
        case "unconfirmed":
            return _meeting(provider, _UNCONFIRMED)
    if (shown := observed.live or detached(observed)) is not None:
        state: MeetingState = "ready" if shown is observed.live else "detached"
        return Meeting(provider=provider, state=state, join_url=join_url(shown))
    condition = _condition(label, obstacle)
    if desired.end <= now:
        condition = _TOO_LATE
    elif not observed.connected:
        condition = _blocked(provider, label, observed.account)
    return _meeting(provider, condition, "pending")


def _condition(label: str, obstacle: Obstacle | None) -> Condition | None:
    if obstacle is None:
        return None
    state, reason, text = _OBSTACLES[obstacle.kind]
    return Condition(state, reason, text.format(name=label), obstacle.expected_at)


def _blocked(provider: str, label: str, account: ObservedAccount | None) -> Condition:
    if account is not None and account.reason == "waiting_for_admin":
        text = f"An administrator of the host's {label} account must approve the app."
        return Condition("blocked", "waiting_for_admin", text)
    again = " again" if account is not None and account.external_id is not None else ""
    text = f"The host must connect {label}{again}; the link is made then."
    return Condition("blocked", f"connect_{provider}", text)


def _meeting(
    provider: str, condition: Condition | None = None, state: MeetingState = "none"
) -> Meeting:
    """A meeting without a link; `state` holds if there is no condition."""
    if condition is None:
        return Meeting(provider=provider, state=state)
    return Meeting(
        provider=provider,
        state=condition.state,
        reason=condition.reason,
        message=condition.message,
        expected_at=condition.expected_at,
    )
