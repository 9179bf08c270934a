"""The mail sink: an SMTP server that keeps everything, and an inbox over HTTP to read it.

Beside the common control API (faults: see `faults.py` of this package):
`GET    /_sim/messages`             all mails as JSON, oldest first, raw source included
`GET    /_sim/messages/{id}/source` one as it came
`DELETE /_sim/messages`             empty the inbox
`GET    /`                          the inbox for people
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from simulators import control
from simulators.clock import SimClock, stamp
from simulators.faults import Fault, Faults
from simulators.frame import HOST, Knobs, controlled
from simulators.keeping import Files
from simulators.log import Entry, Log
from simulators.mail.faults import MailOrder, held_back
from simulators.mail.inbox import inbox_routes
from simulators.mail.messages import Message


@dataclass
class MailEntry(Entry):
    """One recipient asked about (`RCPT`), or one content taken in (`DATA`)."""

    verb: str
    sender: str
    recipients: list[str]
    message: str | None = None  # id of the mail that was kept
    reply: str | None = None  # null: none was given
    fault: dict[str, str] | None = None


class MailSink:
    def __init__(self, knobs: Knobs, files: Files) -> None:
        self.files = files
        self.url = ""
        self.smtp = ""  # host:port
        self.knobs = knobs
        self._first_knobs = knobs.model_dump()
        self.clock = SimClock(files.clock_offset)
        self.clock.offset_seconds = knobs.clock_offset_seconds
        self.log: Log[MailEntry] = Log(files.log)
        self.faults = Faults(MailOrder)
        self.messages: list[Message] = []

    @property
    def ready_line(self) -> str:
        return f"ready {self.url} smtp {self.smtp}"

    def state(self) -> dict[str, Any]:
        receivers = sorted({address for m in self.messages for address in m.recipients})
        return {"messages": [m.shown() for m in self.messages], "receivers": receivers}

    def patch_knobs(self, changes: dict[str, Any]) -> None:
        self.knobs = Knobs(**{**self.knobs.model_dump(), **changes})
        self.clock.offset_seconds = self.knobs.clock_offset_seconds

    def first_knobs(self) -> None:
        self.patch_knobs(self._first_knobs)

    def forget_state(self) -> None:
        self.messages.clear()

    def forget_grants(self) -> None:
        """Nobody needs a permission to send mail here."""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name of the hook
        self,
        server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        entry = self._entry("RCPT", envelope, [address])
        fault = self._fault(entry, after_data=False)
        if fault is not None and fault.spec.deed == "reply":
            return self._replied(entry, fault.spec.argument)
        if fault is not None and fault.spec.deed == "drop":
            await self._cut(server, entry)
        if fault is not None:
            await held_back(fault)
        envelope.rcpt_tos.append(address)
        return self._replied(entry, "250 OK")

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name of the hook
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        entry = self._entry("DATA", envelope, list(envelope.rcpt_tos))
        fault = self._fault(entry, after_data=True)
        if fault is not None and fault.spec.deed == "data-reply":
            return self._replied(entry, fault.spec.argument)
        entry.message = self._keep(entry, envelope.original_content or b"").id
        if fault is not None and fault.spec.deed == "drop-after-data":
            await self._cut(server, entry)
        if fault is not None:
            await held_back(fault)
        return self._replied(entry, f"250 OK {entry.message}")

    def _keep(self, entry: MailEntry, content: bytes) -> Message:
        raw = content.decode("utf-8", "surrogateescape")
        message = Message(secrets.token_hex(8), entry.at, entry.sender, entry.recipients, raw)
        self.messages.append(message)
        return message

    def _entry(self, verb: str, envelope: Envelope, recipients: list[str]) -> MailEntry:
        at = stamp(self.clock.now())
        sender = envelope.mail_from or ""
        return self.log.begin(MailEntry(self.log.next_seq(), at, verb, sender, recipients))

    def _fault(self, entry: MailEntry, *, after_data: bool) -> Fault[MailOrder] | None:
        fault = self.faults.take(
            lambda order: (
                order.after_data == after_data and order.match.fits(entry.sender, entry.recipients)
            )
        )
        entry.fault = {"id": fault.id, "do": fault.spec.do} if fault else None
        return fault

    def _replied(self, entry: MailEntry, reply: str) -> str:
        entry.reply = reply
        self.log.done(entry)
        return reply

    async def _cut(self, server: SMTP, entry: MailEntry) -> None:
        """Close the connection with a reset; its session is then cancelled, here."""
        self.log.done(entry)
        if isinstance(server.transport, asyncio.WriteTransport):
            server.transport.abort()
        await asyncio.Event().wait()

    @asynccontextmanager
    async def running(self, *, host: str, port: int, http_port: int) -> AsyncIterator[None]:
        self.messages += self.files.kept() or []
        app = web.Application(middlewares=[controlled])
        app.add_routes([*control.routes(self), *inbox_routes(self.messages)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(self, hostname="mail.simulator", loop=loop, enable_SMTPUTF8=True),
            host,
            port,
        )
        try:
            await web.TCPSite(runner, host, http_port).start()
            self.url = f"http://{host}:{runner.addresses[0][1]}"
            self.smtp = f"{host}:{server.sockets[0].getsockname()[1]}"
            yield
        finally:
            self.faults.clear()
            server.close()
            await runner.cleanup()
            self.files.keep(self.messages)


@asynccontextmanager
async def serve(
    port: int = 0,
    *,
    http_port: int = 0,
    log_file: Path | None = None,
    clock_offset_file: Path | None = None,
    state_file: Path | None = None,
    **knobs: Any,
) -> AsyncIterator[MailSink]:
    """A mail sink on `127.0.0.1:port` (SMTP) and `http_port` (inbox) within the context."""
    sink = MailSink(Knobs(**knobs), Files(log_file, clock_offset_file, state_file))
    async with sink.running(host=HOST, port=port, http_port=http_port):
        yield sink
