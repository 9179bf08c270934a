"""The output of `./hoop up`: text with a spinner for people, one JSON object a line for programs."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from local.demo.timeline import Act, Line

BOOK = "/calendars/events/appointments"
LONG = 15.0  # seconds after which a log says what a step waits for, again and again
COLOURS: Mapping[Act, str] = {
    "received": "bold",
    "committed": "bold green",
    "announced": "cyan",
    "handled": "blue",
    "called": "magenta",
    "ran": "yellow",
}


class Terminal:
    """Writes progress and results to stdout; with `json`, one JSON object a line and nothing else."""

    def __init__(self, *, json: bool) -> None:
        self.json = json
        self.console = Console(highlight=False, soft_wrap=True)
        self._waits: list[str] = []
        self._jars = ""
        self._status: Status | None = None
        self._step = ""

    def say(self, text: str) -> None:
        """One line about an event."""
        if self.json:
            self.data({"said": text})
        else:
            self.console.print(f"  [dim]·[/] {escape(text)}")

    def data(self, value: object) -> None:
        """One JSON object on a line of its own."""
        self.line(orjson.dumps(value).decode())

    def line(self, text: str) -> None:
        """A line without any formatting, flushed, for a program that reads it."""
        self.console.out(text, highlight=False)
        self.console.file.flush()

    def fetched(self, done: int, total: int) -> None:
        """How many of Kafka's jars are available."""
        self._jars = f"Kafka's jars: {done} of {total}" if done < total else ""
        self._show_waits()

    def problem(self, text: str, *, log: Path | None = None, mend: str = "") -> None:
        """The reason why the command fails, the log that tells more, and what to do."""
        if self.json:
            shown = {"error": text, "log": str(log) if log else None, "mend": mend or None}
            self.data({name: value for name, value in shown.items() if value})
            return
        self.console.print(f"[red]✗[/] {escape(text)}")
        if log:
            self.line(f"  log   {log}")
        if mend:
            self.line(f"  mend  {mend}")

    def title(self, text: str) -> None:
        """The name of the next step of the demonstration."""
        if not self.json:
            self.console.print(f"\n[bold]{escape(text)}[/]")

    def timeline(self, lines: Sequence[Line]) -> None:
        """The timeline of a trace, in milliseconds since the commit."""
        if self.json:
            self.data({"timeline": [asdict(line) for line in lines]})
            return
        for line in lines:
            colour = COLOURS[line.act]
            self.console.print(
                f"  [dim]{line.ms:>+9.1f} ms[/]  {line.who:<14} [{colour}]{line.act:<9}[/] {escape(line.what)}"
            )

    def effect(self, text: str, *, came: bool) -> None:
        """One effect of a step of the demonstration, and whether it came true."""
        if self.json:
            self.data({"effect": text, "came": came})
        else:
            mark = "[green]✓[/]" if came else "[red]✗[/]"
            self.console.print(f"  {mark} {escape(text)}")

    def invite(self, facts: Mapping[str, Any]) -> None:
        """Where everything of the running system is, and a `curl` line that books."""
        if self.json:
            self.data({"stack": facts})
            return
        key = facts["limited_api_key" if facts["limits"] else "api_key"]
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT17:00:00Z")  # noqa: TID251 -- for a person to try
        body = (
            f'{{"calendarId": "{facts["calendar_id"]}", "locationId": "{facts["location_id"]}", '
            f'"contactId": "{facts["contact_ids"][0]}", "startTime": "{tomorrow}"}}'
        )
        self.console.print(f"\n[bold]Hoop runs at {facts['base_url']}[/]; Ctrl-C stops it.")
        self.line(f"  API key   {key}")
        self.line(f"  docs      {facts['base_url']}/docs")
        self.line(f"  inbox     {facts['mail']['inbox_url']}")
        self.line(f"  Kafka     {facts['kafka_bootstrap']}")
        self.line(f"  logs      {facts['logs']}")
        self.line("  book an appointment (./hoop book does it, too):")
        self.line(
            f"curl {facts['base_url']}{BOOK} -H 'Version: 2021-07-28' "
            f"-H 'Authorization: Bearer {key}' "
            f"-H 'Content-Type: application/json' -d '{body}'"
        )

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """A block that waits for this; shown beside the step that it belongs to."""
        self._waits.append(what)
        self._show_waits()
        try:
            yield
        finally:
            self._waits.remove(what)
            self._show_waits()

    def _show_waits(self) -> None:
        if self._status:
            self._status.update(f"{self._step} … {self._awaited()}")

    def _awaited(self) -> str:
        """What the step waits for now."""
        waits = ", ".join(self._waits)
        parts = (f"waiting for {waits}" if waits else "", self._jars)
        return "; ".join(part for part in parts if part)

    @asynccontextmanager
    async def step(self, what: str) -> AsyncIterator[None]:
        """A block that takes a while: a spinner meanwhile, then how long the block took."""
        start, self._step = time.monotonic(), what
        if self.json or not self.console.is_terminal:
            async with self._said_again_and_again(start):
                yield
        else:
            with self.console.status(f"{what} …") as self._status:
                yield
            self._status = None
        seconds = time.monotonic() - start
        if self.json:
            self.data({"step": what, "seconds": round(seconds, 2)})
        else:
            self.console.print(f"  [green]✓[/] {what} [dim]{seconds:.1f} s[/]")

    @asynccontextmanager
    async def _said_again_and_again(self, start: float) -> AsyncIterator[None]:
        """In a log, where no spinner turns: what the step waits for, every `LONG` seconds."""

        async def speak() -> None:
            while True:
                await asyncio.sleep(LONG)
                seconds = time.monotonic() - start
                if self.json:
                    self.data({"waiting": self._waits, "seconds": round(seconds, 2)})
                else:
                    self.say(f"{self._step}: {seconds:.0f} s; {self._awaited() or 'it goes on'}")

        speaking = asyncio.ensure_future(speak())  # noqa: TID251 -- ended with the block
        try:
            yield
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
