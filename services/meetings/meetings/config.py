"""The settings of the meetings service: Zoom's URLs, our Zoom app, the daily limit, the timeout."""

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from hoop_platform import config


class MeetingsSettings(config.Settings):
    """The settings of the meetings service, besides those of every service."""

    zoom_oauth_url: str = Field("https://zoom.us", description="where Zoom authorizes")
    zoom_api_url: str = Field("https://api.zoom.us/v2", description="base of Zoom's REST API")
    zoom_client_id: str = Field(min_length=1, description="client id of our Zoom app")
    zoom_client_secret: SecretStr = Field(description="client secret of our Zoom app")
    zoom_daily_limit: int = Field(
        100, ge=1, description="creates, updates and deletes per Zoom user and UTC day"
    )
    zoom_timeout: float = Field(
        10.0, gt=0, le=10, description="seconds for one call; one attempt takes 40 at most"
    )

    @field_validator("zoom_oauth_url", "zoom_api_url")
    @classmethod
    def _is_base_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.query:
            raise ValueError("must be an http(s) URL without a query")
        return value.rstrip("/")
