"""Reconciling mails: what the platform's reconciler needs to know of a thread and its messages."""

from datetime import datetime

from pydantic import BaseModel

from hoop_events.effects import Message, NotificationFailed, NotificationSent
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.reconcile.observed_state import ObservedState
from hoop_platform.reconcile.plan import LostCalls, Step
from hoop_platform.reconcile.reconciler import Obstacle, Reconciler
from hoop_platform.runtime import Runtime
from notifications.config import NotificationsSettings
from notifications.domain.history import message_of
from notifications.domain.plan import MailFacts, plan
from notifications.domain.threads import FINAL
from notifications.handlers import appointments
from notifications.providers.mail_adapter import MailAdapter
from notifications.providers.smtp import MailServer
from notifications.store.facts import get_facts
from notifications.store.threads import receiver_of


class EndedMessage(BaseModel):
    """The last message of a conversation that has ended, as it is announced."""

    id: str
    appointment_id: str
    """Of a message about a series: of one of its occurrences."""
    occasion: str
    sent: bool
    reason: str | None


class MailReconciler(Reconciler[MailFacts | None]):
    """The messages of one conversation, `<appointment or series>.<receiver>`; each is an external object."""

    kind = appointments.MAIL

    def __init__(self, runtime: Runtime[NotificationsSettings], server: MailServer) -> None:
        self._runtime = runtime
        self._adapter = MailAdapter(server, runtime.settings.sender, runtime.clock)

    def adapter(self, _provider: str) -> MailAdapter:
        return self._adapter

    async def load(self, claimed: Claimed) -> MailFacts | None:
        settings, state = self._runtime.settings, claimed.desired_state
        return await get_facts(
            self._runtime.db,
            state.account_id,
            state.subject,
            link_wait=settings.link_wait_time,
            series_wait=settings.series_wait_time,
        )

    def plan(
        self,
        desired: MailFacts | None,
        observed: ObservedState,
        *,
        lost_calls: LostCalls,  # noqa: ARG002 -- mail is always uncertain
        now: datetime,
    ) -> Step:
        return plan(desired, observed, now=now)

    def status(
        self,
        _claimed: Claimed,
        _desired: MailFacts | None,
        observed: ObservedState,
        _obstacle: Obstacle | None,
        *,
        now: datetime,  # noqa: ARG002 -- what has ended does not depend on the time
    ) -> EndedMessage | None:
        for external in reversed(observed.objects):
            message = message_of(external)
            if message.status in FINAL and external.external_id is not None:
                return EndedMessage(
                    id=external.external_id,
                    appointment_id=min(message.notified),
                    occasion=message.occasion.name,
                    sent=message.status == "sent",
                    reason=message.reason,
                )
        return None

    def event(
        self, claimed: Claimed, status: EndedMessage, sequence: int
    ) -> NotificationSent | NotificationFailed:
        desired = claimed.desired_state
        state = Message(
            id=status.id,
            sequence=sequence,
            appointment_id=status.appointment_id,
            occasion=status.occasion,
            receiver_id=receiver_of(desired.subject),
            reason=status.reason,
        )
        event = NotificationSent if status.sent else NotificationFailed
        return event(account_id=desired.account_id, state=state)
