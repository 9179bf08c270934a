"""The demonstration waits for what it has just made: a consumer that is late is no failure."""

import contextlib

import pytest
from aiohttp import ClientSession, web

from local.demo import demo_data, demonstration
from local.demo.demo_data import Api, SetupFailed


class LateService:
    """Gives these responses in turn, and the last one for ever; keeps the requests."""

    def __init__(self, *statuses):
        self.statuses = list(statuses)
        self.keys = []

    async def respond(self, request):
        self.keys.append(request.headers.get("Idempotency-Key"))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == 0:
            request.transport.abort()  # no response at all
        return web.json_response({"status": status}, status=status or 500)


@contextlib.asynccontextmanager
async def client_of(service):
    runner = web.ServerRunner(web.Server(service.respond))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with ClientSession() as http:
            yield Api(http, f"http://127.0.0.1:{runner.addresses[0][1]}", "a key")
    finally:
        await runner.cleanup()


async def test_what_is_not_known_yet_is_asked_for_again():
    """503 of a service that starts, 401 and 404 of one that has not read the event."""
    late = LateService(503, 401, 404, 200)
    async with client_of(late) as api:
        body, _ = await api.request("GET", "/calendars/")

    assert body == {"status": 200}
    assert late.keys == [None] * 4


async def test_a_change_without_a_clear_response_happens_once():
    """Repeated with its key; a refusal is kept with the key, so the next try has a new one."""
    late = LateService(0, 503, 404, 200)
    async with client_of(late) as api:
        await api.request("POST", "/calendars/", {"name": "Yoga"})

    first, second, third, fourth = late.keys
    assert first == second == third
    assert fourth != third


@pytest.mark.parametrize("statuses", [(400,), (503,)])
async def test_a_refusal_is_one_sentence(monkeypatch, statuses):
    """At once where waiting would not help, else after the deadline."""
    monkeypatch.setattr(demo_data, "KNOWN_LIMIT", 0.5)
    async with client_of(LateService(*statuses)) as api:
        with pytest.raises(SetupFailed, match=rf"^GET /things: {statuses[0]} .*$"):
            await api.request("GET", "/things")


async def test_an_effect_that_cannot_be_looked_at_may_still_come_true(monkeypatch):
    """A part that does not respond for a moment is asked again, until the deadline."""
    monkeypatch.setattr(demonstration, "EFFECT_LIMIT", 3.0)
    looks = []

    async def at_last():
        looks.append(1)
        if len(looks) == 1:
            raise TimeoutError
        if len(looks) == 2:
            raise SetupFailed("GET /: 503")
        return len(looks) > 3

    async def never():
        return False

    assert await demonstration._comes_true(at_last)
    monkeypatch.setattr(demonstration, "EFFECT_LIMIT", 0.3)
    assert not await demonstration._comes_true(never)
