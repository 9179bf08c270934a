"""The status of a session's meeting, as its appointments show it: the link, or why there is none."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from hoop_events.booking import Meeting, MeetingProvider, MeetingState
from meetings.domain.plan import ObservedState
from meetings.domain.sessions import DesiredMeeting, HostAccount

PROVIDER_NAMES = {"zoom": "Zoom", "teams": "Microsoft Teams"}


@dataclass(frozen=True)
class Condition:
    """Why there is no link: `reason` is a slug for programs, `message` a sentence for people."""

    state: MeetingState
    reason: str
    message: str
    expected_at: datetime | None = None


_PENDING = {
    "awaiting_confirmation": "The link is made when the appointment is confirmed.",
    "daily_quota": "{name} allows no more changes today; the link follows after 00:00 UTC.",
    "provider_down": "{name} does not answer; the link follows as soon as it does.",
    "provider_busy": "{name} asks us to wait; the link follows.",
}
_FAILED = {
    "rejected": "{name} refuses to make this meeting.",
    "unverifiable_link": "{name} answered with a link that does not lead to it.",
    "too_late": "The appointment was over before a link could be made.",
}


def pending(provider: str, reason: str, *, expected_at: datetime | None = None) -> Condition:
    """The link will follow without anybody's help."""
    return Condition("pending", reason, _message(_PENDING[reason], provider), expected_at)


def failed(provider: str, reason: str) -> Condition:
    """The link will not follow unless the appointment changes."""
    return Condition("failed", reason, _message(_FAILED[reason], provider))


def meeting_status(
    provider: str,
    desired: DesiredMeeting,
    observed: ObservedState,
    *,
    now: datetime,
    condition: Condition | None = None,
) -> Meeting:
    """The `meeting` of the session's appointments; `condition` is the result of the last attempt."""
    if desired.phase == "unneeded":
        return _meeting(provider, None)
    if desired.phase == "unconfirmed":
        return _meeting(provider, pending(provider, "awaiting_confirmation"))
    if observed.live is not None:
        return _meeting(provider, None, state="ready", join_url=observed.live.join_url)
    if observed.detached is not None:
        return _meeting(provider, None, state="detached", join_url=observed.detached.join_url)
    if desired.end <= now:
        condition = failed(provider, "too_late")
    elif observed.account is None or not observed.account.active:
        condition = _blocked(provider, observed.account)
    return _meeting(provider, condition, state="pending")


def _blocked(provider: str, account: HostAccount | None) -> Condition:
    name = PROVIDER_NAMES[provider]
    if account is not None and account.reason == "waiting_for_admin":
        text = f"An administrator of the host's {name} account must approve the app."
        return Condition("blocked", "waiting_for_admin", text)
    again = " again" if account is not None and account.external_id is not None else ""
    text = f"The host must connect {name}{again}; the link is made then."
    return Condition("blocked", f"connect_{provider}", text)


def _meeting(
    provider: str,
    condition: Condition | None,
    *,
    state: MeetingState = "none",
    join_url: str | None = None,
) -> Meeting:
    known_provider = cast("MeetingProvider", provider)
    if condition is None:
        return Meeting(provider=known_provider, state=state, join_url=join_url)
    return Meeting(
        provider=known_provider,
        state=condition.state,
        reason=condition.reason,
        message=condition.message,
        expected_at=condition.expected_at,
    )


def _message(text: str, provider: str) -> str:
    return text.format(name=PROVIDER_NAMES[provider])
