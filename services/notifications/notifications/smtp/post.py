"""A connection to the mail server (RFC 5321), and what the end of a delivery means."""

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
"""No answer, or none that makes sense. `TimeoutError` is an OSError."""
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")


class Delivery(Exception):
    """It was not delivered, as far as we know. The reason is a slug: replies may quote addresses."""

    def __init__(self, reason: str, *, answered: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.answered = answered


class Rejected(Delivery):
    """The server refuses this mail or this receiver for good."""


class NotNow(Delivery):
    """The mail has certainly not gone; later it may."""


class InDoubt(Delivery):
    """The server had the text and gave no answer: it may have gone."""


@dataclass(frozen=True)
class Server:
    """Where the mail server is and how it is spoken to. `timeout`: seconds for each step."""

    host: str
    port: int
    tls: Tls
    username: str
    password: SecretStr
    name: str
    """Who we say we are: a domain."""
    timeout: float


class Post:
    """A mail server that listens."""

    def __init__(self, client: SMTP, timeout: float) -> None:
        self._client = client
        self._timeout = timeout

    async def deliver(self, content: bytes, *, sender: str, to: str) -> None:
        """Hand over one mail to one receiver; raises `Rejected`, `NotNow` or `InDoubt`."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._client.mail(sender)
                await self._client.rcpt(to)
        except SMTPResponseException as error:
            raise _refusal(error) from None
        except LOST as error:
            raise NotNow(_slug(error)) from None
        try:
            async with asyncio.timeout(self._timeout):
                await self._client.data(content)
        except SMTPDataError as error:
            raise _refusal(error) from None
        except LOST as error:
            raise InDoubt(_slug(error)) from None


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Post]:
    """Greet the server, and leave it politely in the end. Raises `NotNow` when it cannot be reached.

    Whatever goes wrong before a receiver is named (TLS, the login) is no fault of the mail's.
    """
    client = SMTP(
        hostname=server.host,
        port=server.port,
        username=server.username or None,
        password=server.password.get_secret_value() or None,
        local_hostname=server.name,
        timeout=server.timeout,
        use_tls=server.tls == "tls",
        start_tls=server.tls == "starttls",
    )
    where = {"server.address": server.host, "server.port": server.port}
    with span(f"SMTP {server.host}", kind="client", attributes=where):
        try:
            async with asyncio.timeout(server.timeout):
                await client.connect()
        except LOST as error:
            raise NotNow(_slug(error)) from None
        try:
            yield Post(client, server.timeout)
        finally:
            await _leave(client)


async def _leave(client: SMTP) -> None:
    try:
        if client.is_connected:
            async with asyncio.timeout(1):
                await client.quit()
    except LOST:
        pass  # it has our mail or it has not: its farewell says nothing about that
    finally:
        client.close()


def _refusal(error: SMTPResponseException) -> Delivery:
    """4xx, and a sender whom the server does not like, are for later; 5xx about the mail is for good."""
    about_the_mail = isinstance(error, SMTPRecipientRefused | SMTPDataError)
    if about_the_mail and 500 <= error.code <= 599:
        return Rejected(_slug(error), answered=True)
    return NotNow(_slug(error), answered=True)


def _slug(error: BaseException) -> str:
    """`smtp_550_5.1.1`, or what kind of silence it was. Never the server's own words."""
    if isinstance(error, SMTPResponseException):
        enhanced = _ENHANCED.match(error.message)
        return f"smtp_{error.code}" + (f"_{enhanced[1]}" if enhanced else "")
    return "smtp_timeout" if isinstance(error, TimeoutError) else "smtp_unreachable"
