"""The mail sink: an SMTP server that stores all mails, and an inbox over HTTP to read them.

Besides the common control API (faults: see `faults.py` of this package):
`GET    /_sim/messages`             the mails as JSON, oldest first, raw source included; `?contains=TEXT`
                                    of the source, `?to=ADDRESS`, `?last=N`
`GET    /_sim/messages/{id}/source` one mail as received
`DELETE /_sim/messages`             empty the inbox
`GET    /`                          the inbox for people, newest first; `?q=` searches, `?page=` turns
`GET    /messages/{id}`             one mail for people
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

from simulators import control_api
from simulators.base import HOST, Knobs, control_middleware
from simulators.clock import SimClock, format_instant
from simulators.faults import Fault, Faults
from simulators.files import SimulatorFiles
from simulators.mail.faults import MailFaultSpec, wait_while_held
from simulators.mail.inbox import inbox_routes
from simulators.mail.messages import MailMessage
from simulators.request_log import LogEntry, RequestLog


@dataclass
class MailLogEntry(LogEntry):
    """One `RCPT` or `DATA` command."""

    verb: str
    sender: str
    recipients: list[str]
    message: str | None = None  # id of the stored mail
    reply: str | None = None  # null: no reply was sent
    fault: dict[str, str] | None = None


class MailSink:
    """A mail sink that serves."""

    def __init__(self, knobs: Knobs, files: SimulatorFiles) -> None:
        self.files = files
        self.url = ""
        self.smtp = ""  # host:port
        self.knobs = knobs
        self._initial_knobs = knobs.model_dump()
        self.clock = SimClock(files.clock_offset)
        self.clock.offset_seconds = knobs.clock_offset_seconds
        self.log: RequestLog[MailLogEntry] = RequestLog(files.log)
        self.faults = Faults(MailFaultSpec)
        self.messages: list[MailMessage] = []

    @property
    def ready_line(self) -> str:
        return f"ready {self.url} smtp {self.smtp}"

    def state(self) -> dict[str, Any]:
        receivers = sorted({address for m in self.messages for address in m.recipients})
        return {"messages": [m.as_json() for m in self.messages], "receivers": receivers}

    def patch_knobs(self, changes: dict[str, Any]) -> None:
        self.knobs = Knobs(**{**self.knobs.model_dump(), **changes})
        self.clock.offset_seconds = self.knobs.clock_offset_seconds

    def reset_knobs(self) -> None:
        self.patch_knobs(self._initial_knobs)

    def clear_state(self) -> None:
        self.messages.clear()

    def clear_grants(self) -> None:
        """The mail sink has no grants."""

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
        if fault is not None and fault.spec.action == "reply":
            return self._reply(entry, fault.spec.argument)
        if fault is not None and fault.spec.action == "drop":
            await self._close_connection(server, entry)
        if fault is not None:
            await wait_while_held(fault)
        envelope.rcpt_tos.append(address)
        return self._reply(entry, "250 OK")

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name of the hook
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        entry = self._entry("DATA", envelope, list(envelope.rcpt_tos))
        fault = self._fault(entry, after_data=True)
        if fault is not None and fault.spec.action == "data-reply":
            return self._reply(entry, fault.spec.argument)
        entry.message = self._store(entry, envelope.original_content or b"").id
        if fault is not None and fault.spec.action == "drop-after-data":
            await self._close_connection(server, entry)
        if fault is not None:
            await wait_while_held(fault)
        return self._reply(entry, f"250 OK {entry.message}")

    def _store(self, entry: MailLogEntry, content: bytes) -> MailMessage:
        raw = content.decode("utf-8", "surrogateescape")
        message = MailMessage(secrets.token_hex(8), entry.at, entry.sender, entry.recipients, raw)
        self.messages.append(message)
        return message

    def _entry(self, verb: str, envelope: Envelope, recipients: list[str]) -> MailLogEntry:
        at = format_instant(self.clock.now())
        sender = envelope.mail_from or ""
        return self.log.begin(MailLogEntry(self.log.next_seq(), at, verb, sender, recipients))

    def _fault(self, entry: MailLogEntry, *, after_data: bool) -> Fault[MailFaultSpec] | None:
        fault = self.faults.take(
            lambda spec: (
                spec.after_data == after_data and spec.match.fits(entry.sender, entry.recipients)
            )
        )
        entry.fault = {"id": fault.id, "do": fault.spec.do} if fault else None
        return fault

    def _reply(self, entry: MailLogEntry, reply: str) -> str:
        entry.reply = reply
        self.log.finish(entry)
        return reply

    async def _close_connection(self, server: SMTP, entry: MailLogEntry) -> None:
        """Close the connection with a reset, and wait for the session to be cancelled."""
        self.log.finish(entry)
        if isinstance(server.transport, asyncio.WriteTransport):
            server.transport.abort()
        await asyncio.Event().wait()

    @asynccontextmanager
    async def running(self, *, host: str, port: int, http_port: int) -> AsyncIterator[None]:
        self.messages += self.files.load_snapshot() or []
        app = web.Application(middlewares=[control_middleware])
        app.add_routes([*control_api.routes(self), *inbox_routes(self.messages)])
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
            self.files.save_snapshot(self.messages)


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
    sink = MailSink(Knobs(**knobs), SimulatorFiles(log_file, clock_offset_file, state_file))
    async with sink.running(host=HOST, port=port, http_port=http_port):
        yield sink
