"""Connections to the mail server: kept for a moment, never used again after an error; what replies mean."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiosmtpd.smtp import SMTP
from pydantic import SecretStr

from hoop_platform.providers.errors import (
    CallPostponed,
    OutcomeUnknown,
    RequestRejected,
    Unreachable,
)
from notifications.providers import smtp

SENDER, ADA = "hoop@hoop.example", "ada@example.com"
MAIL = b"Subject: x\r\n\r\nHello\r\n"


@dataclass
class Desk:
    """A mail server that notes which connection each mail came over, and replies as told."""

    port: int = 0
    mails: list[object] = field(default_factory=list)
    """The peer of the connection of each mail."""
    opened: list[asyncio.Transport] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    """By command; used once."""
    frozen: bool = False
    thinks: float = 0.0
    """Seconds before it responds to a text."""

    async def handle_MAIL(self, _server, _session, envelope, address, _options):  # noqa: N802
        while self.frozen:
            await asyncio.sleep(0.01)
        envelope.mail_from = address
        return self.replies.pop("MAIL", "250 OK")

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802
        envelope.rcpt_tos.append(address)
        return self.replies.pop("RCPT", "250 OK")

    async def handle_DATA(self, server, session, _envelope):  # noqa: N802
        self.mails.append(session.peer)
        self.opened.append(server.transport)
        await asyncio.sleep(self.thinks)
        return self.replies.pop("DATA", "250 OK")


@asynccontextmanager
async def desks():
    desk, loop = Desk(), asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: SMTP(desk, hostname="desk", loop=loop), "127.0.0.1", 0
    )
    desk.port = listening.sockets[0].getsockname()[1]
    password = SecretStr("")
    server = smtp.MailServer("127.0.0.1", desk.port, "none", "", password, "hoop.example", 5, 5)
    try:
        yield desk, server
    finally:
        desk.frozen = False
        server.close()
        listening.close()


async def deliver(server, to=ADA):
    await server.deliver(MAIL, sender=SENDER, to=to)


async def until(true):
    async with asyncio.timeout(8):
        while not true():
            await asyncio.sleep(0.01)


async def test_one_connection_for_mails_in_a_row(monkeypatch):
    """Until it was idle for a while; then it is closed."""
    monkeypatch.setattr(smtp, "IDLE_SECONDS", 0.3)
    async with desks() as (desk, server):
        for _ in range(5):
            await deliver(server)
        await until(desk.opened[0].is_closing)
        await deliver(server)
    assert len(set(desk.mails[:5])) == 1
    assert desk.mails[5] != desk.mails[0]


async def test_a_connection_each_for_mails_at_the_same_time():
    async with desks() as (desk, server):
        await asyncio.gather(*(deliver(server) for _ in range(4)))
        assert len(set(desk.mails)) == 4
        await deliver(server)
    assert len(set(desk.mails)) == 4


async def test_a_connection_that_the_server_has_closed():
    """The next mail goes over another one, once."""
    async with desks() as (desk, server):
        await deliver(server)
        desk.opened[0].abort()
        await deliver(server)
    assert len(desk.mails) == len(set(desk.mails)) == 2


async def test_a_kept_connection_on_which_the_server_is_silent(monkeypatch):
    """It is not waited for; a server that is silent on a new one as well counts as unreachable."""
    monkeypatch.setattr(smtp, "REUSE_SECONDS", 0.1)
    async with desks() as (desk, server):
        await deliver(server)
        server.timeout = 0.2
        desk.frozen = True
        with pytest.raises(Unreachable, match="smtp_timeout"):
            await deliver(server)
        desk.frozen = False
        await deliver(server)
    assert len(desk.mails) == 2


@pytest.mark.parametrize(
    ("command", "reply", "error", "slug"),
    [
        ("MAIL", "550 5.7.1 Not you", CallPostponed, "smtp_550_5.7.1"),
        ("MAIL", "421 4.3.2 Closing", CallPostponed, "smtp_421_4.3.2"),
        ("RCPT", "550 5.1.1 ada@example.com?", RequestRejected, "smtp_550_5.1.1"),
        ("RCPT", "451 4.7.1 Later", CallPostponed, "smtp_451_4.7.1"),
        ("DATA", "552 Too big", RequestRejected, "smtp_552"),
        ("DATA", "452 4.2.2 Full", CallPostponed, "smtp_452_4.2.2"),
        ("DATA", "251 Perhaps", OutcomeUnknown, "smtp_251"),
    ],
)
async def test_what_replies_mean(command, reply, error, slug):
    """The text is a slug, never the server's words; and the connection is not used again."""
    async with desks() as (desk, server):
        desk.replies = {command: reply}
        with pytest.raises(error) as raised:
            await deliver(server)
        assert (type(raised.value), str(raised.value)) == (error, slug)
        assert server._idle == []
        await deliver(server)


async def test_a_kept_connection_that_is_refused_is_replaced():
    """421 on a connection that was kept too long says nothing about the mail."""
    async with desks() as (desk, server):
        await deliver(server)
        desk.replies = {"MAIL": "421 4.4.2 Idle for too long"}
        await deliver(server)
    assert len(set(desk.mails)) == 2


async def test_a_server_that_thinks_before_it_accepts():
    """The response to a text is waited for longer than any other (RFC 5321, section 4.5.3.2.6)."""
    async with desks() as (desk, server):
        server.timeout, desk.thinks = 0.2, 0.6
        await deliver(server)
        server.data_timeout = 0.3
        with pytest.raises(OutcomeUnknown, match="smtp_timeout"):
            await deliver(server)
    assert len(desk.mails) == 2


async def test_a_process_that_stops_does_not_wait_for_long(monkeypatch):
    """What is in doubt then is repeated by another process; texts that are begun later wait no longer."""
    monkeypatch.setattr(smtp, "STOP_SECONDS", 0.2)
    async with desks() as (desk, server):
        desk.thinks = 3

        async def stop():
            await until(lambda: bool(desk.mails))
            server.stop()

        async with asyncio.timeout(2):
            given_up, _ = await asyncio.gather(deliver(server), stop(), return_exceptions=True)
            with pytest.raises(OutcomeUnknown, match="smtp_timeout"):
                await deliver(server)
    assert str(given_up) == "smtp_timeout"
