"""The Zoom adapter without Zoom: the errors its responses stand for, its links, its settings."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hoop_platform.clock import Clock
from hoop_platform.providers.bounded_http import ServerResponse
from hoop_platform.providers.errors import (
    ObjectNotFound,
    OutcomeUnknown,
    PermissionLost,
    RateLimited,
    RequestRejected,
    TokenRejected,
)
from hoop_platform.runtime import Runtime
from meetings.config import MeetingsSettings
from meetings.providers.zoom import ZoomAdapter
from meetings.providers.zoom_responses import ZoomMeeting, error_of, parse_body

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAILY = (
    b'{"code":429,"message":"You have exceeded the daily rate limit (100) of Meeting'
    b' Create/Update API requests permitted for this particular user."}'
)


def runtime(values):
    """A runtime of which only the settings are used."""
    return Runtime("meetings", values, db=None, clock=Clock(), http=None, tables=None, group=None)


def settings(**changes):
    defaults = {
        "database_url": "postgresql://localhost/meetings",
        "kafka_bootstrap": "localhost:9092",
        "zoom_client_id": "id",
        "zoom_client_secret": "secret",
    }
    return MeetingsSettings(**{**defaults, **changes})


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b'{"code":300,"message":"Validation Failed."}', RequestRejected),
        (400, b'{"code":4711,"message":"does not contain scopes"}', PermissionLost),
        (401, b'{"code":4700,"message":"does not contain scopes"}', PermissionLost),
        (401, b'{"code":124,"message":"Invalid access token."}', TokenRejected),
        (401, b"<html>", TokenRejected),
        (404, b'{"code":3001,"message":"Meeting does not exist: 1."}', ObjectNotFound),
        (404, b'{"code":300,"message":"Meeting does not exist."}', ObjectNotFound),
        (404, b'{"code":1001,"message":"User does not exist: 1."}', RequestRejected),
        (404, b"<html>a proxy's page</html>", OutcomeUnknown),
        (403, b"", OutcomeUnknown),
        (429, b"<html>", RateLimited),
        (500, b'{"code":500,"message":"Internal"}', OutcomeUnknown),
        (302, b"", OutcomeUnknown),
        (200, b'{"id":1}', OutcomeUnknown),
    ],
)
def test_the_status_counts_first_and_the_code_second(status, body, error):
    """A response that is not Zoom's own refusal leaves the outcome unknown."""
    assert type(error_of(ServerResponse("zoom", status, body, {}), now=NOW)) is error


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 7 "}, 7),
        ({"Retry-After": "2027-03-01T13:00:00Z"}, 3600),
        ({"Retry-After": "2027-03-01T13:00:00"}, 3600),
        ({"Retry-After": "Mon, 01 Mar 2027 12:00:30 GMT"}, 30),
        ({"Retry-After": "2027-03-01T11:00:00Z"}, None),
        ({"Retry-After": "99999999999999"}, 25 * 3600),
        ({"Retry-After": "9999-12-31T00:00:00Z"}, 25 * 3600),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
    ],
)
def test_retry_after_in_all_its_forms(headers, wait):
    """Seconds, an instant as Zoom writes it, an HTTP date; never more than a day and an hour."""
    error = error_of(ServerResponse("zoom", 429, b"", headers), now=NOW)
    assert error.wait == (None if wait is None else timedelta(seconds=wait))
    assert not error.daily


@pytest.mark.parametrize(
    ("headers", "body"), [({}, DAILY), ({"X-RateLimit-Type": "Daily-limit"}, b"")]
)
def test_the_daily_limit_is_recognised_by_its_header_or_its_message(headers, body):
    """The limit of one user has been seen without any header."""
    assert error_of(ServerResponse("zoom", 429, body, headers), now=NOW).daily


@given(st.binary(max_size=200), st.sampled_from([200, 201, 204, 400, 404, 429, 500]))
def test_any_bytes_are_an_error(body, status):
    """No response of a provider raises anything but a `ProviderError`."""
    error_of(ServerResponse("zoom", status, body, {"Retry-After": body.decode("latin-1")}), now=NOW)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'{"id":1}', b'{"id":-1,"join_url":"x"}', b'{"join_url":"x"}', b"{"],
)
def test_a_response_without_a_meeting_is_no_success(body):
    """The error does not quote the body, which may hold a start link."""
    with pytest.raises(OutcomeUnknown) as unknown:
        parse_body(ZoomMeeting, ServerResponse("zoom", 201, body, {}))
    assert unknown.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "verified"),
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
async def test_only_a_link_that_leads_to_zoom_is_shown(url, verified):
    """To a host of the settings, or a subdomain of one."""
    adapter = ZoomAdapter(runtime(settings()))
    assert (adapter._verified_link(url) == url) is verified


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
def test_invalid_settings_are_refused(wrong):
    """For example, a timeout that is too long for the lease."""
    with pytest.raises(ValidationError):
        settings(**wrong)
