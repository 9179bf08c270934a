"""Google's authorization server: the scopes that we request, and who gave us a grant."""

from urllib.parse import urlsplit

from hoop_platform.providers.authorization import Identity
from hoop_platform.providers.errors import ProviderDown, ProviderError
from hoop_platform.providers.id_tokens import IdTokenClaims, IdTokenIssuer
from hoop_platform.providers.oauth import OAuthProvider
from hoop_platform.runtime import Runtime
from sync_google.config import Settings
from sync_google.providers.google import calendar_api

SCOPES = (
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
)
IDENTITY_SCOPES = ("openid", "email")
"""Not needed: without them `identify` asks the Calendar API."""


def oauth_provider(settings: Settings) -> OAuthProvider:
    """Google's endpoints and our client. Google sends a refresh token with its consent page only."""
    return OAuthProvider(
        name="google",
        authorize_url=settings.google_oauth_url,
        token_url=settings.google_token_url,
        revoke_url=settings.google_revoke_url,
        client_id=settings.google_client_id,
        client_secret=settings.google_client_secret,
        scopes=(*SCOPES, *IDENTITY_SCOPES),
        needs=SCOPES,
        client_auth="body",
        authorize_params={"access_type": "offline", "prompt": "consent"},
        id_tokens=_id_token_issuer(settings),
        timeout=calendar_api.TIMEOUT,
    )


def _id_token_issuer(settings: Settings) -> IdTokenIssuer:
    """Google names itself with and without https; its keys are on the host of the Calendar API."""
    issuer, api = urlsplit(settings.google_oauth_url), urlsplit(settings.google_api_url)
    return IdTokenIssuer(
        names=(f"{issuer.scheme}://{issuer.netloc}", issuer.netloc),
        jwks_url=f"{api.scheme}://{api.netloc}/oauth2/v3/certs",
        identity=_identity,
    )


def _identity(claims: IdTokenClaims) -> Identity | None:
    """The owner of an address that Google itself manages, which is the id of the primary calendar.

    Of other addresses Google says only that they were verified once: None.
    """
    email = (claims.email or "").lower()
    google_manages = email.endswith("@gmail.com") or claims.hosted_domain is not None
    return Identity(email, email) if email and claims.email_verified and google_manages else None


async def identify(runtime: Runtime[Settings], token: str) -> Identity:
    """The Google user to whom an access token belongs. Raises `ProviderDown`."""
    api = calendar_api.CalendarApi(runtime.http, runtime.settings)
    try:
        calendar_id = await api.get_primary_calendar_id(token)
    except ProviderError as error:
        raise ProviderDown(f"google does not name the user of a token: {error}") from error
    return Identity(external_id=calendar_id, label=calendar_id)
