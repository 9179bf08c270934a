"""What a calendar's notification settings decide: which mails go to whom, and in which wording."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from notifications.domain.message import Kind, Role, Wording

RECEIVER_TYPES: Mapping[Role, str] = {"contact": "contact", "user": "assignedUser"}
"""The `receiverType` of the roles that get mails without any setting."""


@dataclass(frozen=True)
class NotificationRule:
    """An active setting for mail. `extra_receivers` get mails, too: addresses, and selected users."""

    receiver_type: str
    notification_type: str
    wording: Wording = field(default_factory=Wording)
    extra_receivers: Mapping[str, Role] = field(default_factory=dict)

    def applies_to(self, role: Role, receiver_id: str) -> bool:
        """Whether the setting is about mail to this receiver."""
        if role in RECEIVER_TYPES:
            return self.receiver_type == RECEIVER_TYPES[role]
        return receiver_id in self.extra_receivers


@dataclass(frozen=True)
class NotificationRules:
    """All mail settings of a calendar. Without any, contact and assigned user get every mail."""

    active: tuple[NotificationRule, ...] = ()
    configured: frozenset[tuple[str, str]] = frozenset()
    """Receiver type and notification type of every setting, also of inactive and deleted ones."""

    @property
    def extra_receivers(self) -> Mapping[str, Role]:
        """Everybody who gets mails beside the contact and the assigned user: id → role."""
        return {id_: role for rule in self.active for id_, role in rule.extra_receivers.items()}

    def wording(
        self, kind: Kind, role: Role, receiver_id: str, *, confirmed: bool
    ) -> Wording | None:
        """The wording of this mail; None: the mail is switched off.

        `confirmation` is about a confirmed appointment, `booked` about one that waits for
        confirmation; if only one of them is set, it applies to both, and to links. A mail about a
        link keeps the default texts.
        """
        for notification_type in _notification_types(kind, confirmed=confirmed):
            found = [
                rule.wording
                for rule in self.active
                if rule.notification_type == notification_type
                and rule.applies_to(role, receiver_id)
            ]
            if found:
                return found[0] if kind != "link" else Wording(sender=found[0].sender)
            if (RECEIVER_TYPES.get(role), notification_type) in self.configured:
                return None
        return Wording() if role in RECEIVER_TYPES else None


def _notification_types(kind: Kind, *, confirmed: bool) -> tuple[str, ...]:
    """The notification types that decide about a kind of message, the most specific first."""
    match kind:
        case "rescheduled" | "updated":
            return ("reschedule",)
        case "cancelled" | "declined":
            return ("cancellation",)
        case "booked" | "confirmed" | "link":
            return ("confirmation", "booked") if confirmed else ("booked", "confirmation")
