"""The output of `./hoop up`: text with a spinner for people, one JSON object a line for programs."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape

from local.demo.timeline import Act, Line

BOOK = "/calendars/events/appointments"
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
        """How many of Kafka's jars are available; shown in logs, where no spinner runs."""
        if not self.console.is_terminal and not self.json and done in (1, total):
            self.say(f"Kafka's jars: {done} of {total}")

    def problem(self, text: str) -> None:
        """The reason why the command fails."""
        if self.json:
            self.data({"error": text})
        else:
            self.console.print(f"[red]✗[/] {escape(text)}")

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
        """The address and API key of the running system, and a `curl` line that books."""
        if self.json:
            self.data({"stack": facts})
            return
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT17:00:00Z")  # noqa: TID251 -- for a person to try
        body = (
            f'{{"calendarId": "{facts["calendar_id"]}", "locationId": "{facts["location_id"]}", '
            f'"contactId": "{facts["contact_ids"][0]}", "startTime": "{tomorrow}"}}'
        )
        self.console.print(f"\n[bold]Hoop runs at {facts['base_url']}[/]; Ctrl-C stops it.")
        self.line(f"  API key   {facts['api_key']}")
        self.line(f"  mailbox   {facts['mail']['inbox_url']}")
        self.line("  book an appointment:")
        self.line(
            f"curl {facts['base_url']}{BOOK} -H 'Version: 2021-07-28' "
            f"-H 'Authorization: Bearer {facts['api_key']}' "
            f"-H 'Content-Type: application/json' -d '{body}'"
        )

    @asynccontextmanager
    async def step(self, what: str) -> AsyncIterator[None]:
        """A block that takes a while: a spinner meanwhile, then how long the block took."""
        start = time.monotonic()
        if self.json or not self.console.is_terminal:
            yield
        else:
            with self.console.status(f"{what} …"):
                yield
        seconds = time.monotonic() - start
        if self.json:
            self.data({"step": what, "seconds": round(seconds, 2)})
        else:
            self.console.print(f"  [green]✓[/] {what} [dim]{seconds:.1f} s[/]")
