"""Google's authorization server, and what we ask its users for."""

from hoop_platform.providers.oauth import OAuthProvider
from sync_google.config import Settings

TIMEOUT = 10.0
"""Seconds for one call; the lease of a wish is more than three times as long."""

SCOPES = (
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
)


def oauth(settings: Settings) -> OAuthProvider:
    """Credentials go in the body; a refresh token comes with the consent page only."""
    return OAuthProvider(
        name="google",
        authorize_url=settings.google_oauth_url,
        token_url=settings.google_token_url,
        revoke_url=settings.google_revoke_url,
        client_id=settings.google_client_id,
        client_secret=settings.google_client_secret,
        scopes=SCOPES,
        client_auth="body",
        authorize_params={"access_type": "offline", "prompt": "consent"},
        timeout=TIMEOUT,
    )
