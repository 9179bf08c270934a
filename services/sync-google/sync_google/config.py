"""The settings of this service: Google's URLs, our OAuth client, and how Google calendars are polled."""

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from hoop_platform import config


class Settings(config.Settings):
    """The settings of sync-google besides those of every service."""

    google_oauth_url: str = Field(
        "https://accounts.google.com/o/oauth2/v2/auth", description="Google's authorize page"
    )
    google_token_url: str = Field(
        "https://oauth2.googleapis.com/token", description="Google's token endpoint"
    )
    google_revoke_url: str = Field(
        "https://oauth2.googleapis.com/revoke", description="Google's revocation endpoint"
    )
    google_api_url: str = Field(
        "https://www.googleapis.com/calendar/v3", description="base of Google's calendar API"
    )
    google_client_id: str = Field(min_length=1, description="client id of our Google app")
    google_client_secret: SecretStr = Field(description="client secret of our Google app")
    google_poll_seconds: float = Field(
        600.0, gt=0, description="seconds between two polls of a calendar, ± 25 %"
    )
    google_horizon_days: int = Field(
        180, ge=1, le=730, description="how far ahead busy times are read"
    )

    @field_validator("google_oauth_url", "google_token_url", "google_revoke_url", "google_api_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.query:
            raise ValueError("must be an http(s) URL without a query")
        return value.rstrip("/")
