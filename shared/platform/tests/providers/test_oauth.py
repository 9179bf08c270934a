"""What we send to a provider, and what each of its responses means."""

import base64
import json
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.client import OAuth2Client
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from hoop_platform.providers.bounded_http import LONGEST_RETRY_AFTER, ServerResponse
from hoop_platform.providers.errors import GrantRefused, ProviderDown
from hoop_platform.providers.oauth import (
    Grant,
    OAuthProvider,
    exchange,
    parse_grant,
    refresh,
    revoke,
)

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
CANARY = "c4naryt0ken"


def test_the_authorization_url():
    """Everything a provider needs, nothing secret; the provider's own extras come along."""
    provider = a_provider(scopes=("a", "b"), authorize_params={"prompt": "consent"})

    url = provider.authorization_url(state="s", verifier=VERIFIER, redirect_uri="https://x/cb?y=1")

    assert url.startswith("https://provider.example/authorize?")
    assert parse_qs(urlsplit(url).query) == {
        "response_type": ["code"],
        "client_id": ["us & them"],
        "redirect_uri": ["https://x/cb?y=1"],
        "state": ["s"],
        "scope": ["a b"],
        "code_challenge": [CHALLENGE],
        "code_challenge_method": ["S256"],
        "prompt": ["consent"],
    }


def test_no_scope_is_asked_for_where_the_app_registration_says_it():
    """Zoom refuses a list of scopes in the query."""
    assert "scope=" not in a_provider().authorization_url(
        state="s", verifier="v", redirect_uri="https://x"
    )


@pytest.mark.parametrize("style", ["basic", "body"])
async def test_how_we_prove_who_we_are(http, listener, style):
    """In the header, form-encoded as RFC 6749 2.3.1 wants it, or in the body; never in both."""
    provider = a_provider(token_url=listener.url, client_auth=style)

    await refresh(http, provider, refresh_token="r")

    [(headers, form)] = listener.heard
    pair = base64.b64encode(b"us+%26+them:s%3Acret").decode()
    assert headers.get("Authorization") == (f"Basic {pair}" if style == "basic" else None)
    assert form.get("client_secret") == ("s:cret" if style == "body" else None)
    assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "r")


def test_authlib_alone_would_not_form_encode_the_header():
    """Why we encode id and secret before authlib does: with a colon in the id the server reads another."""
    _, headers, _ = ClientAuth("a:b", "c", "client_secret_basic").prepare("POST", "u", {}, "")

    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"a:b:c"


def test_authlib_alone_would_take_a_rate_limit_for_a_token():
    """Why the status is ours to judge: it would lose Retry-After."""
    limited = ServerResponse("p", 429, b'{"reason": "too many"}', {"Retry-After": "9"})

    assert OAuth2Client(None).parse_response_token(limited) == {"reason": "too many"}


def test_authlib_alone_would_lose_the_code_of_a_refusal():
    """Why the codes are ours to read: it raises for Microsoft's quotation marks, and knows one field."""
    body = b'{"error": "invalid_grant", "error_description": "the \\"token\\" ended", "code": 4738}'
    with pytest.raises(ValueError, match="forbidden"):
        OAuth2Client(None).parse_response_token(ServerResponse("p", 400, body))
    with pytest.raises(OAuth2Error) as refusal:
        OAuth2Client(None).parse_response_token(ServerResponse("p", 400, body.replace(b'\\"', b"")))
    assert "4738" not in str(vars(refusal.value))


async def test_a_form_arrives_as_it_was_meant(http, listener):
    """Whatever characters a code or a secret has; the redirect URI comes along (RFC 6749, 4.1.3)."""
    provider = a_provider(token_url=listener.url, client_auth="body")

    await exchange(http, provider, code="a&b=c+d %é", verifier="v", redirect_uri="https://x/?y=1&z")

    [(headers, form)] = listener.heard
    assert headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert form == {
        "grant_type": "authorization_code",
        "code": "a&b=c+d %é",
        "code_verifier": "v",
        "redirect_uri": "https://x/?y=1&z",
        "client_id": "us & them",
        "client_secret": "s:cret",
    }


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, '{"error": "invalid_grant"}', "reconnect_needed"),
        (
            400,
            '{"error": "invalid_grant", "error_description": "\\"x\\"\\r\\n"}',
            "reconnect_needed",
        ),
        (401, '{"error": "invalid_request", "code": 4738}', "waiting_for_admin"),
        (400, '{"error": "invalid_grant", "errorCode": "4738"}', "waiting_for_admin"),
    ],
)
async def test_the_grant_has_ended(http, status, body, reason):
    """The most definite code counts, in whichever field; descriptions do not matter."""
    async with answering(status, body) as provider:
        with pytest.raises(GrantRefused) as refused:
            await refresh(http, provider, refresh_token="r")

    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, '{"error": "invalid_grant"}'),
        (200, '{"access_token": "c4naryt0ken", "expires_in": "soon"}'),
        (200, '{"access_token": "c4naryt0ken", "expires_in": {"a": 1}}'),
        (200, '{"access_token": "c4naryt0ken", "expires_in": -1}'),
        (200, '{"access_token": "c4naryt0ken", "expires_in": 1e300}'),
        (200, '{"access_token": "c4naryt0ken", "expires_in": Infinity}'),
        (200, '{"access_token": ["c4naryt0ken"], "scope": 1}'),
        (200, '{"access_token": "c4naryt0ken", "error": "\\"c4naryt0ken\\""}'),
        (200, '{"error": "c4naryt0ken", "error_description": "\\"c4naryt0ken\\""}'),
        (200, '["c4naryt0ken"]'),
        (200, "<html>" + CANARY),
        (200, "[" * 60_000),
        (400, "[" * 60_000),
        (400, '{"error": "invalid_client", "error_description": "c4naryt0ken"}'),
        (200, f'{{"access_token": "{CANARY * 2000}"}}'),
        (200, f'{{"access_token": "{CANARY * 6000}"}}'),
        (200, '{"access_token": "c4naryt0ken", "x": "' + "x" * 65_536 + '"}'),
        (302, '{"access_token": "c4naryt0ken"}'),
        (403, '"c4naryt0ken"'),
        (500, '{"error": "invalid_grant", "x": "c4naryt0ken"}'),
    ],
)
async def test_a_response_that_decides_nothing(http, status, body):
    """Neither a grant nor a refusal; nothing of it is in what a log would show of the error."""
    async with answering(status, body) as provider:
        with pytest.raises(ProviderDown) as down:
            await refresh(http, provider, refresh_token=CANARY)

    assert CANARY not in "".join(traceback.format_exception(down.value))
    assert CANARY not in repr(down.value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_no_value_surprises_the_parser(value):
    """Any JSON in any field of a token is read or is unreadable: no other error gets out of authlib."""
    for field in ("access_token", "refresh_token", "expires_in", "expires_at", "scope", "error"):
        token = {"access_token": "a", field: value}
        response = ServerResponse("p", 200, json.dumps(token).encode())
        with suppress(ProviderDown):
            assert isinstance(parse_grant(response), Grant)


async def test_a_redirect_is_not_followed(http, listener):
    """It would carry the client's secret to another host."""
    async with answering(307, "", headers={"Location": listener.url}) as provider:
        with pytest.raises(ProviderDown, match="307"):
            await refresh(http, provider, refresh_token="r")

    assert listener.heard == []


async def test_retry_after_is_kept(http):
    """A rate limit in JSON says when to come back; an absurd number says nothing."""
    async with answering(429, "{}", headers={"Retry-After": "7"}) as provider:
        with pytest.raises(ProviderDown) as down:
            await refresh(http, provider, refresh_token="r")
    assert down.value.retry_after == timedelta(seconds=7)

    async with answering(429, "{}", headers={"Retry-After": "9" * 30}) as provider:
        with pytest.raises(ProviderDown) as down:
            await refresh(http, provider, refresh_token="r")
    assert down.value.retry_after == LONGEST_RETRY_AFTER


@pytest.mark.parametrize(("status", "done"), [(200, True), (400, True), (401, False), (503, False)])
async def test_a_revocation(http, status, done):
    """A token that is unknown there is as good as revoked; anything else is not known to be."""
    async with answering(status, "") as provider:
        try:
            await revoke(http, provider, token="t")
        except ProviderDown:
            assert not done
        else:
            assert done


@pytest.mark.parametrize(("seconds", "early"), [(3600, 60), (600, 60), (100, 10), (1, 0.1)])
def test_a_token_is_given_up_a_little_early(seconds, early):
    """It must not end on its way to the provider; a short one is not given up at once."""
    now = datetime(2027, 3, 1, 9, tzinfo=UTC)
    grant = Grant("a", "r", timedelta(seconds=seconds), None)

    assert grant.fresh_until(now) == now + timedelta(seconds=seconds - early)


def test_tokens_are_not_printed():
    """Neither those of a grant nor the client's secret."""
    grant = Grant("t0ken", "t0ken", timedelta(hours=1), None, "t0ken")

    assert "t0ken" not in repr(grant)
    assert "s:cret" not in repr(a_provider())


def a_provider(**changes):
    settings = {
        "name": "p",
        "authorize_url": "https://provider.example/authorize",
        "token_url": "https://provider.example/token",
        "client_id": "us & them",
        "client_secret": SecretStr("s:cret"),
    }
    return OAuthProvider(**{**settings, **changes})


@asynccontextmanager
async def answering(status: int, body: str, **options) -> AsyncIterator[OAuthProvider]:
    """A provider that answers every request in this way."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=body, content_type="application/json", **options)

    async with RawTestServer(answer) as server:
        url = str(server.make_url("/"))
        yield a_provider(
            token_url=url, revoke_url=url, refusals={"4738": "waiting_for_admin"}, timeout=5
        )
