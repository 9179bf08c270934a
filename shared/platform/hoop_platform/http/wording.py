"""The sentences of refused fields: in the words of the API, never in those of the library that read them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic_core.core_schema import ErrorType

from hoop_events.base import ID_PATTERN
from hoop_platform.errors import Detail

WRONG = "is not valid"
TIME = "must be a time in ISO 8601 with an offset, such as 2027-03-01T09:00:00-05:00"
_OBJECT, _LIST = "must be an object", "must be a list"
_WHOLE, _NUMBER = "must be a whole number", "must be a number"
_DATE, _TIME_OF_DAY = "must be a date, such as 2027-03-01", "must be a time of day, such as 09:30"
_DURATION = "must be a duration in ISO 8601, such as PT30M"

SENTENCES: Mapping[str, str] = {
    "missing": "is required",
    "none_required": "must be null",
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "iterable_type": _LIST,
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "finite_number": "must be a finite number",
    "too_short": "must have {min_length} or more items",
    "too_long": "must have {max_length} or fewer items",
    "string_type": "must be text",
    "string_unicode": "must be text in UTF-8",
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have {max_length} or fewer characters",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "must be a smaller number",
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": "must be a date without a time of day",
    "date_past": "must lie in the past",
    "date_future": "must lie in the future",
    "time_type": _TIME_OF_DAY,
    "time_parsing": _TIME_OF_DAY,
    "datetime_type": TIME,
    "datetime_parsing": TIME,
    "datetime_object_invalid": TIME,
    "datetime_from_date_parsing": TIME,
    "datetime_past": "must lie in the past",
    "datetime_future": "must lie in the future",
    "timezone_naive": "must be without an offset",
    "timezone_aware": TIME,
    "timezone_offset": "must have another offset",
    "time_delta_type": _DURATION,
    "time_delta_parsing": _DURATION,
    "json_invalid": "must be JSON",
    "json_type": "must be JSON",
    "url_type": "must be a URL",
    "url_parsing": "must be a URL",
    "url_syntax_violation": "must be a URL",
    "url_too_long": "must be a URL of at most {max_length} characters",
    "url_scheme": "must be a URL that begins with {expected_schemes}",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "uuid_version": "must be a UUID",
    "union_tag_invalid": "must be one of {expected_tags}",
    "union_tag_not_found": "does not say of which kind it is",
}
"""By the kinds of errors of the library; every other kind is `WRONG`."""

_OF_ONE_TYPE = {
    "object_type": ("model_type", "model_attributes_type", "dict_type", "mapping_type"),
    "list_type": ("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"),
    "boolean_type": ("bool_type", "bool_parsing"),
    "number_type": (
        *("int_type", "int_parsing", "int_parsing_size", "int_from_float"),
        *("float_type", "float_parsing", "decimal_type", "decimal_parsing"),
    ),
    "date": (
        *("date_type", "date_parsing", "date_from_datetime_parsing"),
        "date_from_datetime_inexact",
    ),
    "time": (
        *("datetime_type", "datetime_parsing", "datetime_object_invalid"),
        *("datetime_from_date_parsing", "timezone_aware"),
    ),
    "past": ("date_past", "datetime_past"),
    "future": ("date_future", "datetime_future"),
    "time_of_day": ("time_type", "time_parsing"),
    "duration": ("time_delta_type", "time_delta_parsing"),
    "url": ("url_type", "url_parsing", "url_syntax_violation"),
    "uuid": ("uuid_type", "uuid_parsing", "uuid_version"),
    "null_required": ("none_required",),
}
CODES = {kind: code for code, kinds in _OF_ONE_TYPE.items() for kind in kinds}
"""The codes of kinds whose own names are those of types of Python."""
NOT_VALID = "not_valid"
_KINDS = frozenset(get_args(ErrorType))
_CHOICE = re.compile(r"'([^']*)'")


def detail_of(error: Mapping[str, Any]) -> Detail:
    """An error that the library has found, as a detail; nothing of the input is in it."""
    path = ".".join(str(part) for part in error["loc"])[:200]
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return Detail(path, "unknown_field", f"property {path} should not exist")
    allowed = _allowed(context)
    ours = kind not in _KINDS or kind in SENTENCES
    code = CODES.get(kind, kind if ours else NOT_VALID)
    return Detail(path, code, _sentence(error, context, allowed), allowed or None)


def _allowed(context: Mapping[str, Any]) -> Sequence[str]:
    expected = context.get("expected")
    return _CHOICE.findall(expected) if isinstance(expected, str) else ()


def _sentence(error: Mapping[str, Any], context: Mapping[str, Any], allowed: Sequence[str]) -> str:
    kind = error["type"]
    if kind not in _KINDS:  # of a check of ours
        return str(error["msg"])
    if kind in ("value_error", "assertion_error"):
        text = str(context.get("error", ""))
        return text if text.startswith("must ") else WRONG
    if context.get("pattern") == ID_PATTERN:
        return "must be an id: 26 characters of 0-9 and a-v"
    values = {**context, "expected": enumerated(allowed) or context.get("expected")}
    return SENTENCES.get(kind, WRONG).format_map(values)


def enumerated(allowed: Sequence[str]) -> str:
    """A list of values in a sentence."""
    return ", ".join(allowed)
