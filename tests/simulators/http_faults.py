"""Faults of an HTTP simulator: which requests go wrong, and how.

A fault is `{"match": {"method", "path", "user"}, "do": …, "times", "skip", "headers", "body"}`.
`path` is a regular expression *searched* in the request's path (so `/v2/users/me/meetings` and
`^/v2/meetings/\\d+$` both work); a shell pattern such as `/v2/*/meetings` is understood too.
Absent parts of `match` match everything. The oldest fault that matches is the one that acts.
`times` absent: until deleted or reset; `skip`: let that many matching requests pass first.

| do | what happens |
|---|---|
| `status:429` | nothing is done; that status, `headers` and `body` (else the provider's usual one) |
| `hang`, `hang:60` | nothing for 60 s or until the fault is lifted; then done, if the caller still waits |
| `hang-after-commit`, `hang-after-commit:60` | done at once; the answer is held back as above |
| `slow:5` | done and answered after 5 s, whether or not the caller still waits |
| `drop` | the socket is closed; nothing is done |
| `drop-after-commit` | done, then the socket is closed instead of an answer |
| `commit-then-500` | done, then that status (any number) with `headers` and `body` |
| `garbage` | nothing is done; 200 with an HTML page |
| `truncate` | done; half of the answer's body, then the socket is closed |

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

from simulators.faults import Fault, Order

Act = Callable[[], Awaitable[web.StreamResponse]]
PATIENCE_STEP = 0.05  # how often a hanging request looks whether its caller has gone


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
        raise ValueError(f"unknown fault; known are {', '.join(DEEDS)}, commit-then-<status>")
    return text


class Match(BaseModel):
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


class HttpOrder(Order):
    match: Match = Match()
    do: Annotated[str, AfterValidator(_known)]
    headers: dict[str, str] = {}
    body: Any = None


@dataclass(frozen=True)
class Case:
    """One request that is to go wrong: the fault, the real deed, and the provider's usual error."""

    request: web.Request
    fault: Fault[HttpOrder]
    act: Act
    usual_error: Callable[[int], web.Response]


async def carry_out(case: Case) -> web.StreamResponse:
    name, _, argument = case.fault.spec.do.partition(":")
    if found := re.fullmatch(r"commit-then-(\d{3})", name):
        await case.act()
        return _error(case, int(found[1]))
    return await DEEDS[name](case, argument)


def cut(request: web.Request) -> web.Response:
    """Close the caller's socket with a reset. The answer returned here reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _status(case: Case, argument: str) -> web.StreamResponse:
    return _error(case, int(argument))


async def _hang(case: Case, argument: str) -> web.StreamResponse:
    return await case.act() if await _wait(case, argument) else cut(case.request)


async def _hang_after(case: Case, argument: str) -> web.StreamResponse:
    answer = await case.act()
    return answer if await _wait(case, argument) else cut(case.request)


async def _slow(case: Case, argument: str) -> web.StreamResponse:
    await asyncio.sleep(float(argument))
    return await case.act()


async def _drop(case: Case, argument: str) -> web.StreamResponse:
    return cut(case.request)


async def _drop_after(case: Case, argument: str) -> web.StreamResponse:
    await case.act()
    return cut(case.request)


async def _garbage(case: Case, argument: str) -> web.StreamResponse:
    page = "<!DOCTYPE html><html><body><h1>Sign in to the network</h1></body></html>"
    return web.Response(text=page, content_type="text/html", headers=case.fault.spec.headers)


async def _truncate(case: Case, argument: str) -> web.StreamResponse:
    """The length of the whole answer is promised, half of it is sent."""
    whole = await case.act()
    body = whole.body if isinstance(whole, web.Response) and isinstance(whole.body, bytes) else b""
    half = web.StreamResponse(status=whole.status)
    half.content_type = whole.content_type
    half.content_length = len(body)
    await half.prepare(case.request)
    await half.write(body[: len(body) // 2])
    if case.request.transport is not None:
        case.request.transport.close()
    return half


DEEDS: dict[str, Callable[[Case, str], Awaitable[web.StreamResponse]]] = {
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


async def _wait(case: Case, seconds: str) -> bool:
    """True when the time is over and the caller still listens; False when lifted or left alone."""
    loop = asyncio.get_running_loop()
    end = loop.time() + float(seconds or "inf")
    while loop.time() < end and not case.fault.lifted.is_set():
        if case.request.transport is None or case.request.transport.is_closing():
            return False
        await asyncio.sleep(PATIENCE_STEP)
    return not case.fault.lifted.is_set()


def _error(case: Case, status: int) -> web.Response:
    spec = case.fault.spec
    if spec.body is None:
        answer = case.usual_error(status)
    elif isinstance(spec.body, str):
        answer = web.Response(status=status, text=spec.body)
    else:
        answer = web.json_response(spec.body, status=status)
    answer.headers.update(spec.headers)
    return answer


def _path_fits(pattern: str, path: str) -> bool:
    if fnmatch(path, pattern):
        return True
    return not pattern.startswith("*") and re.search(pattern, path) is not None
