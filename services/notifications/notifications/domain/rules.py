"""What a calendar's notification settings decide: which mails go to whom, and in whose words."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from notifications.domain.letter import Kind, Role, Wording

RECEIVER_TYPES: Mapping[Role, str] = {"contact": "contact", "user": "assignedUser"}
"""What settings call those who are told without any setting."""


@dataclass(frozen=True)
class Rule:
    """An active setting for mail. `extras` are told as well: addresses, and users chosen by hand."""

    receiver_type: str
    notification_type: str
    wording: Wording = field(default_factory=Wording)
    extras: Mapping[str, Role] = field(default_factory=dict)

    def reaches(self, role: Role, receiver_id: str) -> bool:
        """Whether it speaks of mail to this receiver."""
        if role in RECEIVER_TYPES:
            return self.receiver_type == RECEIVER_TYPES[role]
        return receiver_id in self.extras


@dataclass(frozen=True)
class Rules:
    """All settings for mail of a calendar. None at all: contact and assigned user are told everything."""

    active: tuple[Rule, ...] = ()
    spoken_of: frozenset[tuple[str, str]] = frozenset()
    """Receiver type and notification type of every setting, of those switched off or deleted, too."""

    @property
    def extras(self) -> Mapping[str, Role]:
        """Everybody who gets a mail of their own beside the contact and the assigned user."""
        return {who: role for rule in self.active for who, role in rule.extras.items()}

    def wording(
        self, kind: Kind, role: Role, receiver_id: str, *, confirmed: bool
    ) -> Wording | None:
        """How this mail is worded; None: it is switched off.

        `confirmation` speaks for a confirmed appointment, `booked` for one that waits for it; where
        only one of them is set, it speaks for both, and for links. A link has no words of its own.
        """
        for notification_type in _types(kind, confirmed=confirmed):
            found = [
                rule.wording
                for rule in self.active
                if rule.notification_type == notification_type and rule.reaches(role, receiver_id)
            ]
            if found:
                return found[0] if kind != "link" else Wording(sender=found[0].sender)
            if (RECEIVER_TYPES.get(role), notification_type) in self.spoken_of:
                return None
        return Wording() if role in RECEIVER_TYPES else None


def _types(kind: Kind, *, confirmed: bool) -> tuple[str, ...]:
    """The notification types that decide, the nearest first."""
    if kind == "rescheduled":
        return ("reschedule",)
    if kind == "cancelled":
        return ("cancellation",)
    return ("confirmation", "booked") if confirmed else ("booked", "confirmation")
