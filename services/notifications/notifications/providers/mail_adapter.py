"""Mails as external objects: each is sent once, and what was sent is neither changed nor found."""

from collections.abc import Sequence
from datetime import timedelta
from email.headerregistry import Address
from uuid import UUID, uuid5

from hoop_platform.clock import Clock
from hoop_platform.ids import from_uuid
from hoop_platform.mail_addresses import is_ascii_address
from hoop_platform.providers.errors import RequestRejected, Unreachable
from hoop_platform.providers.oauth import OAuthProvider
from hoop_platform.reconcile.observed_state import ExternalObject
from hoop_platform.reconcile.plan import LostCalls
from hoop_platform.reconcile.reconciler import CallContext, Existing
from notifications.domain.mime import MailEnvelope, build_mail
from notifications.domain.plan import CONTENT, TOO_LATE, MailFacts
from notifications.providers.smtp import MailServer

LONGEST_UNREACHABLE_WAIT = timedelta(seconds=30)
"""The longest wait after an attempt without a response: mail goes soon once the server is back."""
_MESSAGES = UUID("7d0e5a52-6f0c-4c39-9a4e-0d5b8a1c6e11")


class MailAdapter:
    """Sends mails over SMTP, which tells nobody what became of a mail without a response."""

    lost_calls: LostCalls = "uncertain"
    oauth: OAuthProvider | None = None
    daily_limit: int | None = None

    def __init__(self, server: MailServer, sender: Address, clock: Clock) -> None:
        self._server = server
        self._sender = sender
        self._clock = clock

    def intent(self, call: CallContext, generation: int) -> ExternalObject:
        """The message of this number: its id depends on nothing else, so a repeat has the same."""
        message_id = from_uuid(uuid5(_MESSAGES, f"{call.subject}.{generation}"))
        return ExternalObject(generation, "intended", external_id=message_id)

    async def create(
        self, call: CallContext, desired: MailFacts | None, intended: ExternalObject
    ) -> Existing:
        """Send the mail, unless a setting switches it off. Refuses what is too late or has no address."""
        assert desired is not None, "no message is planned in a thread that does not exist"
        assert intended.external_id is not None, "`intent` gives it"
        data = {name: what for name, what in intended.data.items() if name != "address"}
        if "switched_off" not in data:
            if desired.end_time <= self._clock.now():
                raise RequestRejected(TOO_LATE)
            await self._send(call, intended, intended.external_id)
        return Existing(intended.external_id, None, {**data, "sent": True}, final=True)

    async def _send(self, call: CallContext, intended: ExternalObject, message_id: str) -> None:
        content = CONTENT.validate_python(intended.content)
        if not is_ascii_address(content.address):
            raise RequestRejected("no_usable_address")
        envelope = MailEnvelope(message_id, intended.data["occasion"], self._sender)
        mail = build_mail(content, envelope)
        try:
            await self._server.deliver(mail, sender=self._sender.addr_spec, to=content.address)
        except Unreachable as error:
            wait = timedelta(seconds=0.25 * 2 ** min(call.attempts, 10))
            raise Unreachable(str(error), min(wait, LONGEST_UNREACHABLE_WAIT)) from error

    async def update(
        self, _call: CallContext, _desired: MailFacts | None, external: ExternalObject
    ) -> Existing:
        raise NotImplementedError(f"{external.external_id}: a sent mail cannot be changed")

    async def delete(self, _call: CallContext, external: ExternalObject) -> None:
        raise NotImplementedError(f"{external.external_id}: a sent mail cannot be deleted")

    async def find(self, _call: CallContext) -> Sequence[Existing]:
        raise NotImplementedError("SMTP finds no mail")
