"""Parses requests: an unreadable one is 400, one that breaks a rule is 422 with the field's path."""

import asyncio
import re
from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import orjson
from aiohttp import web
from multidict import MultiMapping
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from hoop_platform.errors import Detail, Invalid, Malformed, TooLarge, TooSlow, UnsupportedMedia
from hoop_platform.http.route import Shape
from hoop_platform.http.wording import TIME, detail_of, enumerated

LARGEST_BODY = 1_048_576
MOST_VALUES = 20_000
"""Parsing so many holds the event loop for some 20 ms; the API's bodies have some hundred."""
DEEPEST = 100  # levels of JSON; the API's bodies have six
BODY_SECONDS = 10.0
_CHARSET = re.compile(r"charset\s*=\s*\"?([^\";\s]+)", re.IGNORECASE)
_ESCAPED_NUL = b"\\u0000"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})", re.ASCII
)
_EPOCH = re.compile(r"\d{9,14}", re.ASCII)
_FIRST_MILLISECONDS = 10**11
"""Smaller numbers are seconds since 1970, at least those of this millennium and of the next ones."""


def _instant(value: object) -> datetime:
    if unit := epoch_unit(value):
        raise time_error(f"is a time in {unit} since 1970; write 2027-03-01T15:00:00Z")
    if not isinstance(value, str) or not _INSTANT.fullmatch(value) or value.endswith("-00:00"):
        raise time_error(TIME)
    if not "1970" <= value[:4] <= "2199":
        raise time_error("must lie between the years 1970 and 2199")
    try:
        moment = datetime.fromisoformat(value).astimezone(UTC)
    except ValueError:
        raise time_error(_impossible_part(value)) from None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)  # as exact as the events


def epoch_unit(value: object) -> str | None:
    """`seconds` or `milliseconds` for a number, or its digits, that counts them since 1970."""
    if isinstance(value, bool) or not _EPOCH.fullmatch(str(value)):
        return None
    return "seconds" if int(str(value)) < _FIRST_MILLISECONDS else "milliseconds"


def time_error(text: str) -> PydanticCustomError:
    """The error of a field that is no time, or not one that may stand there."""
    return PydanticCustomError("time", "{text}", {"text": text})


def _impossible_part(value: str) -> str:
    """What a time in the right form, that does not exist, says too much of."""
    day, clock, offset = value[:10], value[11:19], value[-6:]
    if not "00" < day[5:7] <= "12":
        return "names a month that does not exist"
    days = monthrange(int(day[:4]), int(day[5:7]))[1]
    if not 1 <= int(day[8:10]) <= days:
        return f"names a day that does not exist: this month has {days}"
    if clock[:2] > "23" or clock[3:5] > "59" or clock[6:8] > "59":
        return "names a time of day that does not exist: hours end at 23, minutes and seconds at 59"
    if value[-1] != "Z" and not offset[1:] < "24:00":
        return "names an offset that does not exist: it must be less than 24 hours"
    return TIME


_CONTROLS = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_NOT_ONE_LINE = re.compile(f"[{_CONTROLS}]")


def _one_line(value: str) -> str:
    if _NOT_ONE_LINE.search(value):
        raise PydanticCustomError("one_line", "must be one line without control characters")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
"""A point in time in a body: never naive, never an epoch number."""
_PATTERN = {"pattern": f"^[^{_CONTROLS}]*$"}
OneLine = Annotated[
    str,
    StringConstraints(max_length=200),
    AfterValidator(_one_line),
    Field(json_schema_extra=_PATTERN),
]
"""Short text that may end up in a header or a title."""
Text = Annotated[str, StringConstraints(max_length=5000)]
"""Free text."""


class Body(BaseModel):
    """A request body: strict types, no unknown fields, camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        strict=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


class Query(BaseModel):
    """A query string: unknown keys are ignored, lists as `a=1&a=2` or `a[]=1&a[]=2`."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )


class StrictQuery(Query):
    """A query string in which unknown keys are refused: of a list, where one would be taken for a filter.

    Not for the operations of the compatible API, whose clients send keys that we do not know.
    """

    model_config = ConfigDict(extra="forbid")


async def body(request: web.Request, shape: Shape) -> Any:
    """The request's JSON, read as a model or a list of models."""
    raw = await _read(request)
    if not raw:
        raise Malformed("The body is empty; it must be a JSON document.")
    _check_media(request)
    if raw.count(b",") > MOST_VALUES:
        raise TooLarge(f"The body holds more than {MOST_VALUES} values.")
    try:
        document = orjson.loads(raw)  # stricter about JSON than the model's own reader
        if raw.count(b"[") + raw.count(b"{") > DEEPEST:
            _check_depth(document)
        read = _reader(shape).validate_json(raw)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: position {error.pos}.") from None
    except ValidationError as error:
        raise Invalid(details=details(error)) from None
    if _ESCAPED_NUL in raw:
        _check_text(document)
    return read


@cache
def _reader(shape: Shape) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


async def _read(request: web.Request) -> bytes:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMedia
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge from None
    except TimeoutError:
        raise TooSlow(f"The body did not arrive within {BODY_SECONDS:g} seconds.") from None
    except (web.RequestPayloadError, ConnectionError):
        raise Malformed("The body did not arrive as it was announced.") from None


def _check_media(request: web.Request) -> None:
    media_type = request.headers.get("Content-Type", "")
    charset = _CHARSET.search(media_type)
    if media_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMedia
    if charset and charset.group(1).lower() not in ("utf-8", "utf8"):
        raise UnsupportedMedia


def _check_depth(document: object) -> None:
    level: list[Any] = [document] if isinstance(document, list | dict) else []
    for _ in range(DEEPEST):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, list | dict)
        ]
    if level:
        raise Malformed(f"The body is nested more than {DEEPEST} levels deep.")


def _check_text(value: object, path: str = "") -> None:
    """Raise `Invalid` with the path for text with NUL, which Postgres cannot store.

    Lone surrogates, which it cannot store either, are not JSON to begin with.
    """
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise Invalid(details=[Detail(path, "unstorable_text", "holds NUL")])
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_text(item, f"{path}.{index}".lstrip("."))
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key, path)
            _check_text(item, f"{path}.{key}".lstrip("."))


def path(found: Mapping[str, str]) -> dict[str, str]:
    """The variable parts of the path."""
    if any(_UNSTORABLE.search(part) for part in found.values()):
        raise Malformed("The path holds what is no text.")
    return dict(found)


def query(raw: MultiMapping[str], model: type[BaseModel]) -> BaseModel:
    """The query string as `model`; raises `Invalid`, also for a scalar that is given twice."""
    found: dict[str, Any] = {}
    if issubclass(model, StrictQuery):
        _check_keys(raw, model)
    for alias, other, many in _keys(model):
        if alias not in raw and other not in raw:
            continue
        values = [*raw.getall(alias, []), *raw.getall(other, [])]
        if any(map(_UNSTORABLE.search, values)):
            raise Invalid(details=[Detail(alias, "unstorable_text", "holds NUL")])
        if not many and len(values) > 1:
            raise Invalid(details=[Detail(alias, "repeated", "must be given once at most")])
        found[alias] = values if many else values[0]
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise Invalid(details=details(error)) from None


def _check_keys(raw: MultiMapping[str], model: type[BaseModel]) -> None:
    """Raise `Invalid` with a detail for each key that is no parameter of the operation."""
    allowed = [alias for alias, _, _ in _keys(model)]
    known = {key for alias, other, many in _keys(model) for key in (alias, other)[: 1 + many]}
    unknown = [key for key in dict.fromkeys(raw) if key not in known]
    if unknown:
        text = f"is not a parameter of this list; it has {enumerated(allowed) or 'none'}"
        raise Invalid(
            details=[Detail(key[:200], "unknown_parameter", text, allowed) for key in unknown[:20]]
        )


@cache
def _keys(model: type[BaseModel]) -> Sequence[tuple[str, str, bool]]:
    """For each field its key, the key with brackets, and whether it is a list."""
    return [
        (info.alias or name, f"{info.alias or name}[]", _is_list(info.annotation))
        for name, info in model.model_fields.items()
    ]


def _is_list(annotation: object) -> bool:
    kind = get_origin(annotation) or annotation
    if kind in (list, tuple):
        return True
    return kind in (Annotated, Union, UnionType) and any(map(_is_list, get_args(annotation)))


def details(error: ValidationError) -> Sequence[Detail]:
    """The errors that pydantic found, without the input."""
    return [detail_of(e) for e in error.errors(include_url=False, include_input=False)[:20]]
