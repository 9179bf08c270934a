"""The control API that all simulators share: faults, log, knobs and reset."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simulators.client import control, google_call, google_tokens, zoom_call, zoom_tokens
from simulators.google import simulator as google
from simulators.zoom import simulator as zoom

MEETING = {"topic": "Cut", "start_time": "2027-03-01T09:00:00Z", "duration": 30}
EVENT = {
    "start": {"dateTime": "2027-03-01T09:00:00Z"},
    "end": {"dateTime": "2027-03-01T10:00:00Z"},
}
EVENTS_SCOPE = "https://www.googleapis.com/auth/calendar.events"
CREATE = "POST users/me/meetings"
CREATES = {"method": "POST", "path": "/v2/users/me/meetings"}


@pytest.fixture
async def sim() -> AsyncIterator[zoom.ZoomSimulator]:
    async with zoom.serve() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(force_close=True)  # else aiohttp repeats what was cut off
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


@pytest.fixture
async def token(http, sim) -> str:
    return (await zoom_tokens(http, sim, "ada@example.com"))["access_token"]


async def outcome(http, sim, token: str, patience: float = 5) -> Any:
    """What the caller of a create sees: a status, or the kind of failure."""
    try:
        async with asyncio.timeout(patience):
            return (await zoom_call(http, sim, token, CREATE, MEETING))[0]
    except TimeoutError:
        return "silence"
    except aiohttp.ContentTypeError:
        return "not JSON"
    except aiohttp.ClientPayloadError:
        return "cut short"
    except aiohttp.ClientError:
        return "no response"


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ("status:429", (429, 0)),
        ("status:503", (503, 0)),
        ("drop", ("no response", 0)),
        ("drop-after-commit", ("no response", 1)),
        ("commit-then-500", (500, 1)),
        ("garbage", ("not JSON", 0)),
        ("truncate", ("cut short", 1)),
        ("slow:0.1", (201, 1)),
        ("hang:0.1", (201, 1)),
        ("hang-after-commit:0.1", (201, 1)),
    ],
)
async def test_each_fault_does_what_it_says(sim, http, token, do, expected):
    """What the caller sees, and how many meetings exist then; with `times: 1` only once."""
    await control(http, sim, "POST faults", {"match": CREATES, "do": do, "times": 1})
    seen = await outcome(http, sim, token)
    assert (seen, len((await control(http, sim, "GET state"))["meetings"])) == expected
    assert await outcome(http, sim, token) == 201


@pytest.mark.parametrize(("do", "meetings"), [("hang", 0), ("hang-after-commit", 1), ("hang:9", 0)])
async def test_a_hang_lasts_until_it_is_lifted(sim, http, token, do, meetings):
    """No response for the caller; when the fault is lifted, the socket is closed."""
    await control(http, sim, "POST faults", {"match": CREATES, "do": do})
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(outcome(http, sim, token, patience=30))
        assert await outcome(http, sim, token, patience=0.2) == "silence"
        assert not waiting.done()
        assert await control(http, sim, "POST reset", {"faults": True}) == {"reset": ["faults"]}
    assert waiting.result() == "no response"
    assert len((await control(http, sim, "GET state"))["meetings"]) == 2 * meetings


async def test_a_slow_request_is_handled_after_its_caller_has_left(sim, http, token):
    """`slow`: the meeting appears later, although the caller has disconnected."""
    await control(http, sim, "POST faults", {"match": CREATES, "do": "slow:0.3", "times": 1})
    assert await outcome(http, sim, token, patience=0.1) == "silence"
    assert (await control(http, sim, "GET state"))["meetings"] == []
    for _ in range(250):
        await asyncio.sleep(0.02)
        if (await control(http, sim, "GET state"))["meetings"]:
            return
    pytest.fail("the meeting was not created")


@pytest.mark.parametrize(
    ("match", "hit"),
    [
        ({}, True),
        ({"method": "post"}, True),
        ({"method": "GET"}, False),
        ({"path": "/v2/users"}, True),
        ({"path": "^/users"}, False),
        ({"path": r"/users/\w+/meetings$"}, True),
        ({"path": "/v2/*/meetings"}, True),
        ({"path": "*/meetings"}, True),
        ({"path": "/v2/users/me/meetings", "user": "ada@example.com"}, True),
        ({"user": "bob@example.com"}, False),
    ],
)
async def test_a_fault_applies_to_what_it_matches(sim, http, token, match, hit):
    """Method, a regular expression or shell pattern of the path, and the token's user."""
    await control(http, sim, "POST faults", {"match": match, "do": "status:500"})
    assert await outcome(http, sim, token) == (500 if hit else 201)


async def test_a_fault_has_headers_and_body(sim, http, token):
    """Headers and body are the test's; `skip` serves some requests before, `times` ends the fault."""
    fault = {
        "match": CREATES,
        "do": "status:429",
        "skip": 1,
        "times": 1,
        "headers": {"Retry-After": "7", "Content-Type": "application/xml"},
        "body": "<error/>",
    }
    await control(http, sim, "POST faults", fault)
    assert await outcome(http, sim, token) == 201
    url, auth = f"{sim.url}/v2/users/me/meetings", {"Authorization": f"Bearer {token}"}
    async with http.post(url, json=MEETING, headers=auth) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
        assert (response.content_type, await response.text()) == ("application/xml", "<error/>")
    assert await outcome(http, sim, token) == 201
    (shown,) = await control(http, sim, "GET faults")
    assert (shown["id"], shown["seen"], shown["used"]) == ("f1", 2, 1)


async def test_a_fault_can_be_deleted(sim, http, token):
    """By its id; a second time it is unknown."""
    fault = await control(http, sim, "POST faults", {"match": CREATES, "do": "drop"})
    await control(http, sim, f"DELETE faults/{fault['id']}")
    assert await outcome(http, sim, token) == 201
    with pytest.raises(ValueError, match="no such fault"):
        await control(http, sim, f"DELETE faults/{fault['id']}")


@pytest.mark.parametrize(
    ("request_line", "body"),
    [
        ("POST faults", {"do": "explode"}),
        ("POST faults", {}),
        ("POST faults", {"do": "drop", "times": 0}),
        ("POST faults", {"do": "drop", "match": {"path": "("}}),
        ("POST faults", {"do": "drop", "match": {"pth": "/"}}),
        ("POST settings", {"no_such_knob": 1}),
        ("POST settings", {"daily_limit": "many"}),
        ("POST reset", {"everything": True}),
        ("POST revoke", {}),
        ("POST meetings", {"user": "ada@example.com", "topik": "x"}),
        ("POST faults", ["not", "an", "object"]),
        ("GET nothing", None),
    ],
)
async def test_a_wrong_control_request_is_refused(sim, http, request_line, body):
    """4xx with `error`, never 500."""
    method, _, path = request_line.partition(" ")
    async with http.request(method, f"{sim.url}/_sim/{path}", json=body) as response:
        assert 400 <= response.status < 500
        assert (await response.json())["error"]


async def test_the_log_lists_requests_and_hides_secrets(sim, http, token):
    """In order, with user, fault and status; requests to the control API are not logged."""
    await control(http, sim, "POST faults", {"match": CREATES, "do": "commit-then-500", "times": 1})
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"Authorization": f"Bearer {token}", "traceparent": traceparent}
    body = MEETING | {"password": "s3cret"}
    async with http.post(f"{sim.url}/v2/users/me/meetings", json=body, headers=headers):
        pass
    log = await control(http, sim, "GET log")
    assert [entry["path"] for entry in log] == [
        "/oauth/authorize",
        "/oauth/token",
        "/v2/users/me/meetings",
    ]
    last = log[-1]
    assert last["headers"]["traceparent"] == traceparent
    assert last["headers"]["authorization"] == "Bearer ***"
    assert (last["principal"], last["body"]["password"]) == ("ada@example.com", "***")
    assert (last["status"], last["did"]) == (500, 201)
    assert last["fault"] == {"id": "f1", "do": "commit-then-500"}
    assert await control(http, sim, f"GET log?after={last['seq']}") == []


async def test_reset_deletes_state_but_not_grants(sim, http, token):
    """Without a body everything but the grants is as at the start; `grants` deletes the tokens."""
    await zoom_call(http, sim, token, CREATE, MEETING)
    await control(http, sim, "POST settings", {"daily_limit": 7})
    await control(http, sim, "POST faults", {"do": "drop"})
    await control(http, sim, "POST reset")
    assert (await control(http, sim, "GET state"))["meetings"] == []
    assert (await control(http, sim, "GET settings"))["daily_limit"] == 100_000
    assert await control(http, sim, "GET log") == await control(http, sim, "GET faults") == []
    assert await outcome(http, sim, token) == 201
    await control(http, sim, "POST reset", {"grants": True})
    assert await outcome(http, sim, token) == 401


@asynccontextmanager
async def process(name: str, *arguments: str | Path) -> AsyncIterator[str]:
    """Run a simulator as a process; yields its URL, and stops it with SIGTERM."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulators", name, *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        ready = (await asyncio.wait_for(running.stdout.readline(), 30)).decode().split()
        assert ready[0] == "ready"
        yield ready[1]
    finally:
        running.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(running.wait(), 5)
    assert code == 0


@pytest.mark.parametrize("name", ["zoom", "google", "mail"])
async def test_a_simulator_is_a_process_of_its_own(name, http):
    """It prints its URL when it is ready, and stops on SIGTERM."""
    async with process(name) as url, http.get(f"{url}/_sim/log") as response:
        assert await response.json() == []


async def test_a_process_shares_the_clock_and_writes_its_log(http, tmp_path):
    """The clock offset is read for every request; each request is a line in the log file."""
    offset, log = tmp_path / "offset", tmp_path / "log"
    arguments = ("--clock-offset-file", offset, "--log-file", log, "--set", "daily_limit=7")
    async with process("zoom", *arguments) as url:
        for seconds in ("0", "86400"):
            offset.write_text(seconds)
            async with http.get(f"{url}/v2/users/me") as response:
                assert response.status == 401
        async with http.get(f"{url}/_sim/settings") as response:
            assert (await response.json())["daily_limit"] == 7
    first, second = (json.loads(line)["at"] for line in log.read_text().splitlines())
    assert datetime.fromisoformat(second) - datetime.fromisoformat(first) > timedelta(hours=23)


async def test_the_state_file_of_google(http, tmp_path):
    """Events keep their etags over a stop, and the user stays connected."""
    new = {"user": "ada@example.com", "event": EVENT}
    async with google.serve(state_file=tmp_path / "google") as sim:
        before = await control(http, sim, "POST events", new)
        tokens = await google_tokens(http, sim, "ada@example.com", scope=EVENTS_SCOPE)
    async with google.serve(state_file=tmp_path / "google") as sim:
        listed = await google_call(
            http, sim, tokens["access_token"], "GET calendars/primary/events"
        )
    assert [e["etag"] for e in listed["items"]] == [before["etag"]]


async def test_the_state_file_of_zoom(http, tmp_path):
    """Meetings and grants are restored at the next start."""
    async with zoom.serve(state_file=tmp_path / "zoom") as sim:
        tokens = await zoom_tokens(http, sim, "ada@example.com")
        _, created = await zoom_call(http, sim, tokens["access_token"], CREATE, MEETING)
    async with zoom.serve(state_file=tmp_path / "zoom") as sim:
        request = f"GET meetings/{created['id']}"
        status, found = await zoom_call(http, sim, tokens["access_token"], request)
    assert (status, found["uuid"]) == (200, created["uuid"])
