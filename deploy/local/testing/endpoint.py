"""An HTTP endpoint for tests of consumers that post events: strict, and as unreliable as it is told to be."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Answer:
    """How the endpoint answers one request: after `delay` seconds, or never with `hang`."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang: bool = False


class Endpoint:
    """Remembers every request, and carries out each `Idempotency-Key` once.

    `answers` are given to the next requests, in order; all others are answered 204 at once.
    """

    def __init__(self) -> None:
        self.url = ""
        self.keys: list[str] = []
        """Of all requests that arrived, in their order."""
        self.effects: dict[str, Mapping[str, Any]] = {}
        """The body of each key that was carried out."""
        self.repeats: Counter[str] = Counter()
        """How often each key arrived again after it had been carried out."""
        self.problems: list[str] = []
        """What was wrong with requests; these are answered 400."""
        self.answers: deque[Answer] = deque()
        self.unanswered: set[str] = set()
        """The keys of the requests that wait for their response at this moment."""

    async def receive(self, request: web.Request) -> web.Response:
        """Check and remember a request, carry it out unless its key is known, and answer as told."""
        key, text = request.headers.get("Idempotency-Key", ""), await request.text()
        if problem := self._problem(request, key, text):
            self.problems.append(problem)
            return web.Response(status=400, text=problem)
        answer = self.answers.popleft() if self.answers else Answer()
        self.keys.append(key)
        self.repeats[key] += key in self.effects
        if answer.hang or answer.status < 300:
            self.effects.setdefault(key, json.loads(text))
        self.unanswered.add(key)
        try:
            await asyncio.sleep(3600 if answer.hang else answer.delay)
        finally:
            self.unanswered.discard(key)
        return web.Response(status=answer.status, headers=answer.headers)

    def _problem(self, request: web.Request, key: str, text: str) -> str:
        if request.method != "POST" or request.content_type != "application/cloudevents+json":
            return f"{request.method} of {request.content_type}"
        if not key or key != json.loads(text)["id"]:
            return f"the key {key!r} is not the event's id"
        if key in self.effects and self.effects[key] != json.loads(text):
            return f"{key}: another body than before"
        return ""


@asynccontextmanager
async def serving_endpoint() -> AsyncIterator[Endpoint]:
    """An endpoint on a free port of this machine; requests that hang are cut at the end."""
    endpoint, app = Endpoint(), web.Application()
    app.router.add_route("*", "/", endpoint.receive)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        yield endpoint
    finally:
        await runner.cleanup()
