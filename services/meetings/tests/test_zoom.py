"""What Zoom's answers mean, read without Zoom."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meetings.zoom.answers import Answer, MeetingAnswer, parsed, trouble_of
from pydantic import ValidationError

from hoop_platform.clock import Clock
from meetings.config import Settings
from meetings.domain import (
    NotThere,
    Rejected,
    ScopeLost,
    TokenRejected,
    TooMany,
    Unsure,
)
from meetings.zoom import Zoom

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAILY = (
    b'{"code":429,"message":"You have exceeded the daily rate limit (100) of Meeting'
    b' Create/Update API requests permitted for this particular user."}'
)


def settings(**said):
    usual = {
        "database_url": "postgresql://localhost/meetings",
        "kafka_bootstrap": "localhost:9092",
        "zoom_client_id": "id",
        "zoom_client_secret": "secret",
    }
    return Settings(**{**usual, **said})


@pytest.mark.parametrize(
    ("status", "body", "trouble"),
    [
        (400, b'{"code":300,"message":"Validation Failed."}', Rejected),
        (400, b'{"code":4711,"message":"does not contain scopes"}', ScopeLost),
        (401, b'{"code":4700,"message":"does not contain scopes"}', ScopeLost),
        (401, b'{"code":124,"message":"Invalid access token."}', TokenRejected),
        (401, b"<html>", TokenRejected),
        (404, b'{"code":3001,"message":"Meeting does not exist: 1."}', NotThere),
        (404, b'{"code":300,"message":"Meeting does not exist."}', NotThere),
        (404, b'{"code":1001,"message":"User does not exist: 1."}', Rejected),
        (404, b"<html>a proxy's page</html>", Unsure),
        (403, b"", Unsure),
        (429, b"<html>", TooMany),
        (500, b'{"code":500,"message":"Internal"}', Unsure),
        (302, b"", Unsure),
        (200, b'{"id":1}', Unsure),
    ],
)
def test_the_status_counts_first_and_the_code_second(status, body, trouble):
    """What is not Zoom's own refusal decides nothing."""
    assert type(trouble_of(Answer(status, {}, body), now=NOW)) is trouble


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 7 "}, 7),
        ({"Retry-After": "2027-03-01T13:00:00Z"}, 3600),
        ({"Retry-After": "2027-03-01T13:00:00"}, 3600),
        ({"Retry-After": "Mon, 01 Mar 2027 12:00:30 GMT"}, 30),
        ({"Retry-After": "2027-03-01T11:00:00Z"}, 0),
        ({"Retry-After": "99999999999999"}, 25 * 3600),
        ({"Retry-After": "9999-12-31T00:00:00Z"}, 25 * 3600),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers, wait):
    """Seconds, an instant as Zoom writes it, an HTTP date; never more than a day and an hour."""
    trouble = trouble_of(Answer(429, headers, b""), now=NOW)
    assert trouble.wait == (None if wait is None else timedelta(seconds=wait))
    assert not trouble.daily


@pytest.mark.parametrize(
    ("headers", "body"), [({}, DAILY), ({"X-RateLimit-Type": "Daily-limit"}, b"")]
)
def test_the_daily_limit_is_known_by_header_or_by_its_words(headers, body):
    """The limit of one user has been seen without any header."""
    assert trouble_of(Answer(429, headers, body), now=NOW).daily


@given(st.binary(max_size=200), st.sampled_from([200, 201, 204, 400, 404, 429, 500]))
def test_any_bytes_are_some_trouble(body, status):
    """Nothing that a provider says makes us crash."""
    trouble_of(Answer(status, {"Retry-After": body.decode("latin-1")}, body), now=NOW)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'{"id":1}', b'{"id":-1,"join_url":"x"}', b'{"join_url":"x"}', b"{"],
)
def test_an_answer_without_a_meeting_is_no_success(body):
    """And what it said is not repeated: it may hold a start link."""
    with pytest.raises(Unsure) as unsure:
        parsed(MeetingAnswer, Answer(201, {}, body))
    assert unsure.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("https://zoom.us/j/1", True),
        ("https://us02web.zoom.us/j/1?pwd=x", True),
        ("https://US02WEB.ZOOM.US/j/1", True),
        ("http://zoom.us/j/1", False),
        ("https://zoom.us.example.net/j/1", False),
        ("https://evilzoom.us/j/1", False),
        ("https://zoom.us@example.net/j/1", False),
        ("https://ada:pw@zoom.us/j/1", False),
        ("javascript:alert(1)", False),
        ("https://[::1/j/1", False),
        ("https://zoom.us/j/1\r\nX: y", False),
        ("https://zoom.us/j/\u202e1", False),
        ("https://zoom.us/j/" + "1" * 3000, False),
        ("", False),
    ],
)
async def test_only_a_link_that_leads_to_zoom_is_shown(url, ours):
    """Its hosts are those of the settings and below them."""
    zoom = Zoom(None, settings(), Clock())
    assert (zoom._own_link(url) == url) is ours


@pytest.mark.parametrize(
    "wrong",
    [
        {"zoom_api_url": "ftp://api.zoom.us/v2"},
        {"zoom_oauth_url": "zoom.us"},
        {"zoom_oauth_url": "https://zoom.us?x=1"},
        {"zoom_client_id": ""},
        {"zoom_daily_limit": 0},
        {"zoom_timeout": 11},
    ],
)
def test_settings_that_cannot_be_right_are_refused(wrong):
    """A timeout beyond a third of the lease, among them."""
    with pytest.raises(ValidationError):
        settings(**wrong)
