"""The log: one JSON line per fact on standard error, with its service and its trace, without secrets."""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import asyncpg
import orjson
import structlog
from opentelemetry import trace
from pydantic import ValidationError

service: ContextVar[str] = ContextVar("service", default="hoop")
"""In whose name everything is said, in this task and its children."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()
"""The logger: `log.info("booked", appointment=…)`. Facts with fields, once, at the edge."""


def cause(error: BaseException) -> str:
    """What an error is, for the log and for operators: never the data that it was about.

    pydantic quotes what it was given, and Postgres the row that broke a rule.
    """
    if isinstance(error, ValidationError):
        where = [".".join(map(str, e["loc"])) or e["type"] for e in _errors(error)]
        return f"{error.title} does not fit at: {', '.join(where)}"
    if isinstance(error, asyncpg.exceptions.PostgresError):
        return f"{type(error).__name__}: {error.args[0] if error.args else ''}"
    if isinstance(error, BaseExceptionGroup):
        return f"{type(error).__name__}: " + "; ".join(map(cause, error.exceptions))
    return repr(error)[:2000]


def _errors(error: ValidationError) -> list[Any]:
    return [*error.errors(include_url=False, include_input=False, include_context=False)[:5]]


def story(error: BaseException) -> str:
    """Where an error came from, and from which other errors: the lines of code, and each cause."""
    return "\nfrom that came:\n".join(reversed([_chapter(e) for e in _chain(error)]))


def _chapter(error: BaseException) -> str:
    lines = "".join(traceback.format_tb(error.__traceback__))
    if isinstance(error, BaseExceptionGroup):
        return "\nand beside it:\n".join(map(story, error.exceptions)) + f"\nat once in:\n{lines}"
    return lines + cause(error)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _with_context(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["service"] = service.get()
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format(context.trace_id, "032x")
    return event


def _with_story(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    error = event.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = story(error)
    return event


def logs(level: str = "INFO") -> None:
    """Log as a process does; also what libraries say through `logging`, from warnings on.

    Of aiokafka's lines, which come by the dozen when a broker goes, only the gravest: what an
    outage means, our own code says.
    """
    first = [_with_context, structlog.processors.add_log_level]
    first.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
    structlog.configure(
        processors=[*first, _with_story, structlog.processors.JSONRenderer(orjson.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class _Json(logging.Formatter):
    """A line of some library, as one of ours."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {"event": record.getMessage(), "logger": record.name}
        said |= {"level": record.levelname.lower(), "exc_info": record.exc_info}
        said |= {"timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ")}
        return orjson.dumps(_with_story(None, "", dict(_with_context(None, "", said)))).decode()
