"""What we say to a provider, compared with what another client library says."""

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from hoop_platform.providers.oauth import Grant, OAuthProvider, challenge, refresh

VERIFIERS = st.text("abcXYZ019-._~", min_size=43, max_size=128)


@given(VERIFIERS)
def test_the_challenge_is_the_one_of_rfc_7636(verifier):
    """Authlib, written by others, computes the same."""
    assert challenge(verifier) == create_s256_code_challenge(verifier)


def test_the_example_of_rfc_7636():
    """Appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

    assert challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_authorization_url():
    """Everything a provider needs, nothing secret; the provider's own extras come along."""
    provider = a_provider(scopes=("a", "b"), authorize_params={"prompt": "consent"})

    url = provider.authorization_url(state="s", verifier="v" * 43, redirect_uri="https://x/cb?y=1")

    assert url.startswith("https://provider.example/authorize?")
    assert parse_qs(urlsplit(url).query) == {
        "response_type": ["code"],
        "client_id": ["us & them"],
        "redirect_uri": ["https://x/cb?y=1"],
        "state": ["s"],
        "scope": ["a b"],
        "code_challenge": [challenge("v" * 43)],
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


@pytest.mark.parametrize(("seconds", "early"), [(3600, 60), (600, 60), (100, 10), (1, 0.1)])
def test_a_token_is_given_up_a_little_early(seconds, early):
    """It must not end on its way to the provider; a short one is not given up at once."""
    now = datetime(2027, 3, 1, 9, tzinfo=UTC)
    grant = Grant("a", "r", timedelta(seconds=seconds), None)

    assert grant.fresh_until(now) == now + timedelta(seconds=seconds - early)


def test_tokens_are_not_printed():
    """Neither those of a grant nor the client's secret."""
    grant = Grant("t0ken", "t0ken", timedelta(hours=1), None)

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
