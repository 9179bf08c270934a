"""What the appointments of a session show: the link, or why there is none and what helps."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from hoop_events.booking import Meeting, MeetingProvider, MeetingState
from meetings.domain.seats import Access, Wanted
from meetings.domain.steps import World

NAMES = {"zoom": "Zoom", "teams": "Microsoft Teams"}


@dataclass(frozen=True)
class Trouble:
    """Why there is no link: a slug for programs, a sentence for people."""

    state: MeetingState
    reason: str
    message: str
    expected_at: datetime | None = None


_WAITING = {
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


def pending(provider: str, reason: str, *, expected_at: datetime | None = None) -> Trouble:
    """It will come by itself."""
    return Trouble("pending", reason, _said(_WAITING[reason], provider), expected_at)


def failed(provider: str, reason: str) -> Trouble:
    """It will not come by itself."""
    return Trouble("failed", reason, _said(_FAILED[reason], provider))


def shown(
    provider: str, wanted: Wanted, world: World, *, now: datetime, trouble: Trouble | None = None
) -> Meeting:
    """The `meeting` of the session's appointments, after what has just been tried."""
    if wanted.phase == "over":
        return _meeting(provider, None)
    if wanted.phase == "awaiting":
        return _meeting(provider, pending(provider, "awaiting_confirmation"))
    if world.live is not None:
        return _meeting(provider, None, state="ready", join_url=world.live.join_url)
    if world.detached is not None:
        return _meeting(provider, None, state="detached", join_url=world.detached.join_url)
    if wanted.end <= now:
        trouble = failed(provider, "too_late")
    elif world.access is None or not world.access.active:
        trouble = _blocked(provider, world.access)
    return _meeting(provider, trouble, state="pending")


def _blocked(provider: str, access: Access | None) -> Trouble:
    name = NAMES[provider]
    if access is not None and access.reason == "waiting_for_admin":
        text = f"An administrator of the host's {name} account must approve the app."
        return Trouble("blocked", "waiting_for_admin", text)
    again = " again" if access is not None and access.external_id is not None else ""
    text = f"The host must connect {name}{again}; the link is made then."
    return Trouble("blocked", f"connect_{provider}", text)


def _meeting(
    provider: str,
    trouble: Trouble | None,
    *,
    state: MeetingState = "none",
    join_url: str | None = None,
) -> Meeting:
    kind = cast("MeetingProvider", provider)
    if trouble is None:
        return Meeting(provider=kind, state=state, join_url=join_url)
    return Meeting(
        provider=kind,
        state=trouble.state,
        reason=trouble.reason,
        message=trouble.message,
        expected_at=trouble.expected_at,
    )


def _said(text: str, provider: str) -> str:
    return text.format(name=NAMES[provider])
