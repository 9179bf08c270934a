"""Refusals speak the words of the API: no kind of error shows those of the library or of Python."""

import re
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from pydantic import ValidationError
from pydantic_core.core_schema import ErrorType

from hoop_events.base import Id
from hoop_platform.http.parse import Body, Instant, OneLine, details
from hoop_platform.http.wording import SENTENCES, WRONG, detail_of

PYTHON = re.compile(
    r"\b(Input should|Value error|Assertion|None|NoneType|dict|dictionary|str|int|integer|float|bool"
    r"|boolean|tuple|frozenset|datetime|timedelta|isoformat|utcoffset|instance|parse|pydantic)\b"
)
CONTEXT: Mapping[str, Any] = {
    "gt": 1,
    "ge": 1,
    "lt": 9,
    "le": 9,
    "multiple_of": 5,
    "min_length": 1,
    "max_length": 9,
    "actual_length": 0,
    "field_type": "Tuple",
    "pattern": "^a$",
    "expected": "'a' or 'b'",
    "expected_schemes": "https",
    "expected_tags": "a, b",
    "class": "datetime",
    "error": ValueError("strictly between -datetime.timedelta(hours=24) and timedelta(hours=24)"),
}
KINDS = get_args(ErrorType)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_error_has_a_sentence_of_ours(kind: str) -> None:
    """Whatever the library finds, and whatever it says of it."""
    error = {"type": kind, "loc": ("a", 0), "msg": "Input should be a dict", "ctx": CONTEXT}
    detail = detail_of(error)
    assert detail.path == "a.0"
    assert not PYTHON.search(detail.message), detail.message
    assert not re.search("datetime|dict|tuple|none|value_error|parsing", detail.code), detail.code


def test_there_is_no_sentence_for_what_does_not_exist() -> None:
    assert set(SENTENCES) <= set(KINDS)


class Booking(Body):
    at: Instant | None = None
    title: OneLine = ""
    count: int = 1
    who: Id | None = None


def said(**body: object) -> str:
    """The one sentence of the refusal of this body."""
    with pytest.raises(ValidationError) as refusal:
        Booking.model_validate(body)
    [detail] = details(refusal.value)
    return detail.message


SECONDS = "is a time in seconds since 1970; write 2027-03-01T15:00:00Z"
MILLISECONDS = "is a time in milliseconds since 1970; write 2027-03-01T15:00:00Z"
FORM = "must be a time in ISO 8601 with an offset, such as 2027-03-01T09:00:00-05:00"


@pytest.mark.parametrize(
    ("at", "sentence"),
    [
        (1_803_913_200, SECONDS),
        ("1803913200", SECONDS),
        (1_803_913_200_000, MILLISECONDS),
        ("1803913200000", MILLISECONDS),
        (True, FORM),
        (12, FORM),
        ("tomorrow", FORM),
        ("2027-03-01T09:00:00", FORM),
        ("2027-03-01T09:00:00-00:00", FORM),
        ("2027-13-01T09:00:00Z", "names a month that does not exist"),
        ("2027-02-30T09:00:00Z", "names a day that does not exist: this month has 28"),
        ("2028-02-30T09:00:00Z", "names a day that does not exist: this month has 29"),
        ("2027-02-00T09:00:00Z", "names a day that does not exist: this month has 28"),
        (
            "2027-02-10T24:30:00+01:00",
            "names a time of day that does not exist: hours end at 23, minutes and seconds at 59",
        ),
        (
            "2027-02-10T10:60Z",
            "names a time of day that does not exist: hours end at 23, minutes and seconds at 59",
        ),
        (
            "2027-02-10T10:00:00+25:00",
            "names an offset that does not exist: it must be less than 24 hours",
        ),
        ("2200-01-01T00:00:00Z", "must lie between the years 1970 and 2199"),
    ],
)
def test_a_time_that_is_none_is_explained(at: object, sentence: str) -> None:
    assert said(at=at) == sentence


def test_fields_are_explained() -> None:
    assert said(title="a\nb") == "must be one line without control characters"
    assert said(title=7) == "must be text"
    assert said(count="7") == "must be a whole number"
    assert said(who="x") == "must be an id: 26 characters of 0-9 and a-v"
    assert said(colour="green") == "property colour should not exist"


def test_an_error_of_python_itself_is_not_quoted() -> None:
    """A check of ours that fails with such a text says no more than that the value is not valid."""
    error = {"type": "value_error", "loc": ("a",), "msg": "Value error, day is out of range"}
    assert (
        detail_of({**error, "ctx": {"error": ValueError("day is out of range")}}).message == WRONG
    )
    assert (
        detail_of({**error, "ctx": {"error": ValueError("must be even")}}).message == "must be even"
    )
