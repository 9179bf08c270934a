"""The log of the requests that a simulator received, in order, with secrets masked."""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl

from aiohttp import web

MAX_ENTRIES = 100_000  # in memory; the file has all of them
MASK = "***"
SECRETS = frozenset(
    {
        "access_token",
        "client_secret",
        "code",
        "code_verifier",
        "password",
        "refresh_token",
        "state",
        "token",
    }
)
HEADERS_OF_INTEREST = (
    "traceparent",
    "content-type",
    "user-agent",
    "if-match",
    "if-none-match",
    "x-goog-api-client",
)


@dataclass
class LogEntry:
    """The fields that all entries have: sequence number and time."""

    seq: int
    at: str


@dataclass
class HttpLogEntry(LogEntry):
    """One request. `status` is null until the response is sent, and stays so if none ever is.

    `did` is the status of the simulator's own response when a fault then sent another one:
    `{"status": 500, "did": 201}` means that the meeting was created.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    principal: str | None
    body: Any
    status: int | None = None
    did: int | None = None
    fault: dict[str, str] | None = None


E = TypeVar("E", bound=LogEntry)


@dataclass
class RequestLog(Generic[E]):
    """The entries since the start or the last reset; each is also appended to `file` when done."""

    file: Path | None = None
    entries: deque[E] = field(default_factory=lambda: deque(maxlen=MAX_ENTRIES))
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def next_seq(self) -> int:
        return next(self._numbers)

    def begin(self, entry: E) -> E:
        self.entries.append(entry)
        return entry

    def finish(self, entry: E) -> None:
        if self.file is not None:
            with self.file.open("a") as file:
                file.write(json.dumps(asdict(entry)) + "\n")

    def clear(self) -> None:
        self.entries.clear()

    def matching(self, wanted: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The entries whose fields equal the wanted ones, and whose `seq` is greater than `after`."""
        after = int(wanted.get("after", "0"))
        fields = {name: value for name, value in wanted.items() if name != "after"}
        for entry in self.entries:
            shown = asdict(entry)
            if entry.seq > after and all(str(shown.get(k)) == v for k, v in fields.items()):
                yield shown


def http_log_entry(
    request: web.Request, *, seq: int, at: str, principal: str | None, body: Any
) -> HttpLogEntry:
    return HttpLogEntry(
        seq=seq,
        at=at,
        method=request.method,
        path=request.path,
        query=masked(dict(request.query)),
        headers=_headers(request.headers),
        principal=principal,
        body=masked(body),
    )


def parse_body(body: bytes, content_type: str) -> Any:
    """The body as parsed JSON or form, else the first 1000 characters; None if empty."""
    if not body:
        return None
    text = body.decode("utf-8", "replace")
    if content_type == "application/x-www-form-urlencoded":
        return dict(parse_qsl(text, keep_blank_values=True))
    try:
        return json.loads(text)
    except ValueError:
        return text[:1000]


def masked(value: Any) -> Any:
    """The same data with every secret, at any depth, replaced by `***`."""
    if isinstance(value, dict):
        return {k: MASK if k.lower() in SECRETS and v else masked(v) for k, v in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    shown = {name: headers[name] for name in HEADERS_OF_INTEREST if name in headers}
    if "Authorization" in headers:
        shown["authorization"] = headers["Authorization"].split(" ")[0] + " " + MASK
    return shown
