"""Google's authorization server: the scopes that we request, and whose access token we were given."""

from hoop_platform.providers.authorization import Identity
from hoop_platform.providers.errors import ProviderDown, ProviderError
from hoop_platform.providers.oauth import OAuthProvider
from hoop_platform.runtime import Runtime
from sync_google.config import Settings
from sync_google.providers.google import calendar_api

SCOPES = (
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
)


def oauth_provider(settings: Settings) -> OAuthProvider:
    """Google's endpoints and our client. Google sends a refresh token with its consent page only."""
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
        timeout=calendar_api.TIMEOUT,
    )


async def identify(runtime: Runtime[Settings], token: str) -> Identity:
    """The Google user to whom an access token belongs. Raises `ProviderDown`."""
    api = calendar_api.CalendarApi(runtime.http, runtime.settings)
    try:
        calendar_id = await api.get_primary_calendar_id(token)
    except ProviderError as error:
        raise ProviderDown(f"google does not name the user of a token: {error}") from error
    return Identity(external_id=calendar_id, label=calendar_id)
