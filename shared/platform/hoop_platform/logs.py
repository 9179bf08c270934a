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
"""The service whose name log lines and spans of this task and its children carry."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()
"""The logger: `log.info("booked", appointment=…)`. Facts with fields, once, at the edge."""


def cause(error: BaseException) -> str:
    """An error as one line for logs and operators, without the data that caused it.

    pydantic quotes its input, and Postgres the row that violated a constraint.
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


def traceback_of(error: BaseException) -> str:
    """The traceback of an error and of each of its causes, without data."""
    return "\nwhich caused:\n".join(reversed([_one_traceback(e) for e in _chain(error)]))


def _one_traceback(error: BaseException) -> str:
    lines = "".join(traceback.format_tb(error.__traceback__))
    if isinstance(error, BaseExceptionGroup):
        return (
            "\nand in the same group:\n".join(map(traceback_of, error.exceptions))
            + f"\nraised together in:\n{lines}"
        )
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


def _with_traceback(
    _: Any, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    error = event.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = traceback_of(error)
    return event


def configure_logs(level: str = "INFO") -> None:
    """Configure the log of a process, including warnings that libraries write through `logging`.

    aiokafka writes dozens of lines when a broker goes away: only critical ones pass, for our own
    code logs what an outage means.
    """
    first = [_with_context, structlog.processors.add_log_level]
    first.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
    structlog.configure(
        processors=[*first, _with_traceback, structlog.processors.JSONRenderer(orjson.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class _Json(logging.Formatter):
    """A log record of a library in the format of our own."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {"event": record.getMessage(), "logger": record.name}
        fields |= {"level": record.levelname.lower(), "exc_info": record.exc_info}
        fields |= {"timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ")}
        return orjson.dumps(
            _with_traceback(None, "", dict(_with_context(None, "", fields)))
        ).decode()
