"""Delivery of one mail over SMTP (RFC 5321): accepted, refused for good, deferred, or in doubt."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
)
from pydantic import SecretStr

from hoop_platform.telemetry import span
from notifications.config import Tls

LOST = (SMTPException, OSError)
"""The connection failed, or the response makes no sense. `TimeoutError` is an OSError."""
_ENHANCED_CODE = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")


class DeliveryFailed(Exception):
    """The mail was not delivered, as far as is known.

    The reason is a slug, because the server's own words may quote addresses. `responded`: the server
    has responded.
    """

    def __init__(self, reason: str, *, responded: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.responded = responded


class MailRejected(DeliveryFailed):
    """The server refuses this mail or this receiver for good."""


class MailDeferred(DeliveryFailed):
    """The mail has certainly not been delivered; a later attempt may succeed."""


class MailInDoubt(DeliveryFailed):
    """The server had the text and did not respond: the mail may have been delivered."""


@dataclass(frozen=True)
class SmtpServer:
    """The address of the mail server and how to connect. `timeout`: seconds for each step."""

    host: str
    port: int
    tls: Tls
    username: str
    password: SecretStr
    local_hostname: str
    """Our domain, for EHLO."""
    timeout: float


class SmtpSession:
    """An open connection to the mail server."""

    def __init__(self, client: SMTP, timeout: float) -> None:
        self._client = client
        self._timeout = timeout

    async def deliver(self, content: bytes, *, sender: str, to: str) -> None:
        """Hand over one mail to one receiver.

        Raises `MailRejected`, `MailDeferred` or `MailInDoubt`.
        """
        try:
            async with asyncio.timeout(self._timeout):
                await self._client.mail(sender)
                await self._client.rcpt(to)
        except SMTPResponseException as error:
            raise _refusal(error) from None
        except LOST as error:
            raise MailDeferred(_slug(error)) from None
        try:
            async with asyncio.timeout(self._timeout):
                await self._client.data(content)
        except SMTPDataError as error:
            raise _refusal(error) from None
        except LOST as error:
            raise MailInDoubt(_slug(error)) from None


@asynccontextmanager
async def open_session(server: SmtpServer) -> AsyncIterator[SmtpSession]:
    """Connect and log in; quit in the end. Raises `MailDeferred` when that fails.

    A failure before a receiver is named (connection, TLS, login) says nothing against the mail.
    """
    client = SMTP(
        hostname=server.host,
        port=server.port,
        username=server.username or None,
        password=server.password.get_secret_value() or None,
        local_hostname=server.local_hostname,
        timeout=server.timeout,
        use_tls=server.tls == "tls",
        start_tls=server.tls == "starttls",
    )
    attributes = {"server.address": server.host, "server.port": server.port}
    with span(f"SMTP {server.host}", kind="client", attributes=attributes):
        try:
            async with asyncio.timeout(server.timeout):
                await client.connect()
        except LOST as error:
            raise MailDeferred(_slug(error)) from None
        try:
            yield SmtpSession(client, server.timeout)
        finally:
            await _quit(client)


async def _quit(client: SMTP) -> None:
    try:
        if client.is_connected:
            async with asyncio.timeout(1):
                await client.quit()
    except LOST:
        pass  # the response to QUIT does not say whether the mail was accepted
    finally:
        client.close()


def _refusal(error: SMTPResponseException) -> DeliveryFailed:
    """A 5xx about the receiver or the mail is final; 4xx, and a refusal of the sender, are not."""
    about_the_mail = isinstance(error, SMTPRecipientRefused | SMTPDataError)
    if about_the_mail and 500 <= error.code <= 599:
        return MailRejected(_slug(error), responded=True)
    return MailDeferred(_slug(error), responded=True)


def _slug(error: BaseException) -> str:
    """`smtp_550_5.1.1`, `smtp_timeout` or `smtp_unreachable`: codes, never the server's own words."""
    if isinstance(error, SMTPResponseException):
        enhanced = _ENHANCED_CODE.match(error.message)
        return f"smtp_{error.code}" + (f"_{enhanced[1]}" if enhanced else "")
    return "smtp_timeout" if isinstance(error, TimeoutError) else "smtp_unreachable"
