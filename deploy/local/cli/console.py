"""What `./hoop up` says while it works: for people with a spinner, for programs one JSON object a line."""

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

COLOURS: Mapping[Act, str] = {
    "asked": "bold",
    "decided": "bold green",
    "announced": "cyan",
    "heard": "blue",
    "called": "magenta",
    "did": "yellow",
}


class Terminal:
    """Says things on the terminal; with `json`, only what a program reads."""

    def __init__(self, *, json: bool) -> None:
        self.json = json
        self.console = Console(highlight=False, soft_wrap=True)
        self._fetching: tuple[int, int] | None = None

    def say(self, text: str) -> None:
        """One line about something that happened."""
        if self.json:
            self.data({"said": text})
        else:
            self.console.print(f"  [dim]·[/] {escape(text)}")

    def data(self, fact: object) -> None:
        """One JSON object on a line of its own."""
        self.console.out(orjson.dumps(fact).decode(), highlight=False)
        self.console.file.flush()

    def line(self, text: str) -> None:
        """A line as it stands, for whoever waits for it."""
        self.console.out(text, highlight=False)
        self.console.file.flush()

    def fetched(self, done: int, total: int) -> None:
        """Kafka's jars arrive; only a first run has to wait for them."""
        self._fetching = (done, total)
        if not self.console.is_terminal and not self.json and done in (1, total):
            self.say(f"Kafka's jars: {done} of {total}")

    def problem(self, text: str) -> None:
        """Why it cannot go on."""
        if self.json:
            self.data({"error": text})
        else:
            self.console.print(f"[red]✗[/] {escape(text)}")

    def title(self, text: str) -> None:
        """What is done next."""
        if not self.json:
            self.console.print(f"\n[bold]{escape(text)}[/]")

    def timeline(self, lines: Sequence[Line]) -> None:
        """Who did what, with milliseconds since the commit."""
        if self.json:
            self.data({"timeline": [asdict(line) for line in lines]})
            return
        for line in lines:
            colour = COLOURS[line.act]
            self.console.print(
                f"  [dim]{line.ms:>+9.1f} ms[/]  {line.who:<14} [{colour}]{line.act:<9}[/] {escape(line.what)}"
            )

    def effect(self, text: str, *, came: bool) -> None:
        """Whether something that had to happen did."""
        if self.json:
            self.data({"effect": text, "came": came})
        else:
            mark = "[green]✓[/]" if came else "[red]✗[/]"
            self.console.print(f"  {mark} {escape(text)}")

    def invite(self, facts: Mapping[str, Any]) -> None:
        """Where everything is, and how to try it."""
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
        self.line(f"  inbox     {facts['mail']['inbox_url']}")
        self.line("  book:")
        self.line(
            f"curl {facts['base_url']}/calendars/events/appointments -H 'Version: 2021-07-28' "
            f"-H 'Authorization: Bearer {facts['api_key']}' "
            f"-H 'Content-Type: application/json' -d '{body}'"
        )

    @asynccontextmanager
    async def step(self, what: str) -> AsyncIterator[None]:
        """Something that takes a while, then how long it took."""
        begun = time.monotonic()
        if self.json or not self.console.is_terminal:
            yield
        else:
            with self.console.status(f"{what} …"):
                yield
        seconds = time.monotonic() - begun
        if self.json:
            self.data({"step": what, "seconds": round(seconds, 2)})
        else:
            self.console.print(f"  [green]✓[/] {what} [dim]{seconds:.1f} s[/]")
