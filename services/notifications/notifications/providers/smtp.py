"""Delivery of mails over SMTP (RFC 5321): accepted, refused for good, deferred, or in doubt.

The texts of errors are slugs (`smtp_550_5.1.1`), because the server's own words may quote addresses.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
)
from pydantic import SecretStr

from hoop_platform.providers.errors import (
    CallPostponed,
    CallRefused,
    OutcomeUnknown,
    RequestRejected,
    Unreachable,
)
from hoop_platform.telemetry import span
from notifications.config import Tls

LOST = (SMTPException, OSError)
"""The connection failed, or the response makes no sense. `TimeoutError` is an OSError."""
IDLE_SECONDS = 5.0
"""How long a connection is kept for the next mail; servers close idle ones after minutes."""
REUSE_SECONDS = 1.0
"""How long a kept connection may take to respond; it may be dead."""
STOP_SECONDS = 10.0
"""How long a process that stops waits for the server; what is in doubt then is repeated by another."""
_ENHANCED_CODE = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")


@dataclass
class MailServer:
    """The mail server, and the connections to it that are idle."""

    host: str
    port: int
    tls: Tls
    username: str
    password: SecretStr
    local_hostname: str
    """Our domain, for EHLO."""
    timeout: float
    """Seconds for each step before the text: connecting, naming the receiver."""
    data_timeout: float
    """Seconds for the text and the response to it, which may take minutes (RFC 5321, 4.5.3.2.6): a
    server that has accepted the mail and is not waited for gets it twice."""
    _idle: list[SMTP] = field(default_factory=list)
    """At most as many as mails were delivered at a time."""
    _stops_at: float | None = None
    """The event loop's time after which no response is waited for."""
    _limits: set[asyncio.Timeout] = field(default_factory=set)
    """Of the texts that wait for a response."""

    async def deliver(self, content: bytes, *, sender: str, to: str) -> None:
        """Hand over one mail to one receiver; returns as soon as the server has accepted it.

        Raises `RequestRejected`, `CallPostponed` and `Unreachable`, all without an effect, or
        `OutcomeUnknown`: the server had the text and did not respond. Only after a success the
        connection is kept.
        """
        attributes = {"server.address": self.host, "server.port": self.port}
        with span(f"SMTP {self.host}", kind="client", attributes=attributes):
            client = await self._begin_on_kept(sender) or await self._begin(sender)
            try:
                await self._name_receiver(client, to)
                await self._hand_over(client, content)
            except BaseException:
                client.close()
                raise
            self._keep(client)

    async def _begin_on_kept(self, sender: str) -> SMTP | None:
        """A kept connection on which a mail is begun, if there is one and the server still responds."""
        while self._idle:
            client = self._idle.pop()
            try:
                async with asyncio.timeout(min(self.timeout, REUSE_SECONDS)):
                    await client.mail(sender)
            except LOST:
                client.close()
            except BaseException:
                client.close()
                raise
            else:
                return client
        return None

    async def _begin(self, sender: str) -> SMTP:
        """A new connection on which a mail is begun. Its failure says nothing against the mail."""
        client = SMTP(
            hostname=self.host,
            port=self.port,
            username=self.username or None,
            password=self.password.get_secret_value() or None,
            local_hostname=self.local_hostname,
            timeout=self.timeout,
            use_tls=self.tls == "tls",
            start_tls=self.tls == "starttls",
        )
        try:
            async with asyncio.timeout(self.timeout):
                await client.connect()
                await client.mail(sender)
        except LOST as error:
            client.close()
            raise _refusal(error) from None
        except BaseException:
            client.close()
            raise
        return client

    async def _name_receiver(self, client: SMTP, to: str) -> None:
        try:
            async with asyncio.timeout(self.timeout):
                await client.rcpt(to)
        except LOST as error:
            raise _refusal(error) from None

    async def _hand_over(self, client: SMTP, content: bytes) -> None:
        try:
            async with self._until_response():
                await client.data(content, timeout=None)
        except SMTPDataError as error:
            if error.code < 400:  # some kind of success
                raise OutcomeUnknown(_slug(error)) from None
            raise _refusal(error) from None
        except LOST as error:
            raise OutcomeUnknown(_slug(error)) from None

    @asynccontextmanager
    async def _until_response(self) -> AsyncIterator[None]:
        """Limits how long the response to a text is waited for, which `stop` shortens."""
        ends_at = asyncio.get_running_loop().time() + self.data_timeout
        async with asyncio.timeout_at(min(ends_at, self._stops_at or ends_at)) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    def stop(self) -> None:
        """The process stops: no response is waited for longer than `STOP_SECONDS` from now."""
        self._stops_at = stops_at = asyncio.get_running_loop().time() + STOP_SECONDS
        for limit in self._limits:
            ends_at = limit.when()
            if not limit.expired() and ends_at is not None:
                limit.reschedule(min(ends_at, stops_at))

    def _keep(self, client: SMTP) -> None:
        self._idle.append(client)
        asyncio.get_running_loop().call_later(IDLE_SECONDS, self._close_idle, client)

    def _close_idle(self, client: SMTP) -> None:
        if client in self._idle:
            self._idle.remove(client)
            _quit(client)

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            _quit(self._idle.pop())


def _quit(client: SMTP) -> None:
    """End a connection without waiting: the response to QUIT says nothing about the mails."""
    if isinstance(client.transport, asyncio.WriteTransport):
        client.transport.write(b"QUIT\r\n")
    client.close()


def _refusal(error: SMTPException | OSError) -> CallRefused:
    """A 5xx about the receiver or the mail is final; 4xx, and a refusal of the sender, are not."""
    if isinstance(error, SMTPRecipientRefused | SMTPDataError) and 500 <= error.code <= 599:
        return RequestRejected(_slug(error))
    if isinstance(error, SMTPResponseException):
        return CallPostponed(_slug(error))
    return Unreachable(_slug(error))


def _slug(error: BaseException) -> str:
    """`smtp_550_5.1.1`, `smtp_timeout` or `smtp_unreachable`: codes, never the server's own words."""
    if isinstance(error, SMTPResponseException):
        enhanced = _ENHANCED_CODE.match(error.message)
        return f"smtp_{error.code}" + (f"_{enhanced[1]}" if enhanced else "")
    return "smtp_timeout" if isinstance(error, TimeoutError) else "smtp_unreachable"
