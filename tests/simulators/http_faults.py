"""Faults of an HTTP simulator: which requests fail, and how.

A fault is `{"match": {"method", "path", "user"}, "do": …, "times", "skip", "headers", "body"}`.
`path` is a regular expression *searched* in the request's path (so `/v2/users/me/meetings` and
`^/v2/meetings/\\d+$` both work); a shell pattern such as `/v2/*/meetings` is understood too.
Absent parts of `match` match everything. The oldest fault that matches is applied.
`times` absent: until deleted or reset; `skip`: let that many matching requests pass first.

| do | what happens |
|---|---|
| `status:429` | nothing is done; that status, `headers` and `body` (else the provider's typical one) |
| `hang`, `hang:60` | no response for 60 s or until the fault is lifted; then done, if the caller still waits |
| `hang-after-commit`, `hang-after-commit:60` | done at once; the response is held back as above |
| `slow:5` | done after 5 s, whether or not the caller still waits |
| `drop` | the socket is closed; nothing is done |
| `drop-after-commit` | done, then the socket is closed instead of a response |
| `commit-then-500` | done, then that status (any number) with `headers` and `body` |
| `garbage` | nothing is done; 200 with an HTML page |
| `truncate` | done; half of the response's body, then the socket is closed |

A `hang` that is lifted (deleted, reset, or the simulator stops) closes the socket with nothing done.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Annotated, Any

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict

from simulators.faults import Fault, FaultSpec

Act = Callable[[], Awaitable[web.StreamResponse]]
POLL_SECONDS = 0.05  # how often a hanging request checks whether its caller is still connected


def _pattern(text: str) -> str:
    if text.startswith("*"):  # no regular expression begins so: it is a shell pattern
        return text
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"path is not a regular expression: {error}") from error
    return text


def _known(text: str) -> str:
    if GRAMMAR.fullmatch(text) is None:
        raise ValueError(f"unknown fault; known are {', '.join(ACTIONS)}, commit-then-<status>")
    return text


class HttpMatch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    method: str | None = None
    path: Annotated[str, AfterValidator(_pattern)] | None = None
    user: str | None = None

    def fits(self, method: str, path: str, user: str | None) -> bool:
        return (
            (self.method is None or self.method.upper() in ("*", method))
            and (self.user is None or self.user == user)
            and (self.path is None or _path_fits(self.path, path))
        )


class HttpFaultSpec(FaultSpec):
    match: HttpMatch = HttpMatch()
    do: Annotated[str, AfterValidator(_known)]
    headers: dict[str, str] = {}
    body: Any = None


@dataclass(frozen=True)
class FaultyRequest:
    """A request to which a fault is applied; `act` handles the request as without the fault."""

    request: web.Request
    fault: Fault[HttpFaultSpec]
    act: Act
    typical_error: Callable[[int], web.Response]


async def apply_fault(faulty: FaultyRequest) -> web.StreamResponse:
    name, _, argument = faulty.fault.spec.do.partition(":")
    if found := re.fullmatch(r"commit-then-(\d{3})", name):
        await faulty.act()
        return _error(faulty, int(found[1]))
    return await ACTIONS[name](faulty, argument)


def reset_connection(request: web.Request) -> web.Response:
    """Close the caller's socket with a reset. The response returned here is not sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _status(faulty: FaultyRequest, argument: str) -> web.StreamResponse:
    return _error(faulty, int(argument))


async def _hang(faulty: FaultyRequest, argument: str) -> web.StreamResponse:
    return await faulty.act() if await _wait(faulty, argument) else reset_connection(faulty.request)


async def _hang_after(faulty: FaultyRequest, argument: str) -> web.StreamResponse:
    response = await faulty.act()
    return response if await _wait(faulty, argument) else reset_connection(faulty.request)


async def _slow(faulty: FaultyRequest, argument: str) -> web.StreamResponse:
    await asyncio.sleep(float(argument))
    return await faulty.act()


async def _drop(faulty: FaultyRequest, argument: str) -> web.StreamResponse:
    return reset_connection(faulty.request)


async def _drop_after(faulty: FaultyRequest, argument: str) -> web.StreamResponse:
    await faulty.act()
    return reset_connection(faulty.request)


async def _garbage(faulty: FaultyRequest, argument: str) -> web.StreamResponse:
    page = "<!DOCTYPE html><html><body><h1>Sign in to the network</h1></body></html>"
    return web.Response(text=page, content_type="text/html", headers=faulty.fault.spec.headers)


async def _truncate(faulty: FaultyRequest, argument: str) -> web.StreamResponse:
    """Announce the length of the whole response, and send half of it."""
    whole = await faulty.act()
    body = whole.body if isinstance(whole, web.Response) and isinstance(whole.body, bytes) else b""
    half = web.StreamResponse(status=whole.status)
    half.content_type = whole.content_type
    half.content_length = len(body)
    await half.prepare(faulty.request)
    await half.write(body[: len(body) // 2])
    if faulty.request.transport is not None:
        faulty.request.transport.close()
    return half


ACTIONS: dict[str, Callable[[FaultyRequest, str], Awaitable[web.StreamResponse]]] = {
    "status": _status,
    "hang": _hang,
    "hang-after-commit": _hang_after,
    "slow": _slow,
    "drop": _drop,
    "drop-after-commit": _drop_after,
    "garbage": _garbage,
    "truncate": _truncate,
}
GRAMMAR = re.compile(
    r"status:\d{3}|commit-then-\d{3}|hang(-after-commit)?(:\d+(\.\d+)?)?|slow:\d+(\.\d+)?"
    r"|drop|drop-after-commit|garbage|truncate"
)


async def _wait(faulty: FaultyRequest, seconds: str) -> bool:
    """True when the time is over and the caller is still connected; False if lifted or disconnected."""
    loop = asyncio.get_running_loop()
    end = loop.time() + float(seconds or "inf")
    while loop.time() < end and not faulty.fault.lifted.is_set():
        if faulty.request.transport is None or faulty.request.transport.is_closing():
            return False
        await asyncio.sleep(POLL_SECONDS)
    return not faulty.fault.lifted.is_set()


def _error(faulty: FaultyRequest, status: int) -> web.Response:
    spec = faulty.fault.spec
    if spec.body is None:
        response = faulty.typical_error(status)
    elif isinstance(spec.body, str):
        response = web.Response(status=status, text=spec.body)
    else:
        response = web.json_response(spec.body, status=status)
    response.headers.update(spec.headers)
    return response


def _path_fits(pattern: str, path: str) -> bool:
    if fnmatch(path, pattern):
        return True
    return not pattern.startswith("*") and re.search(pattern, path) is not None
