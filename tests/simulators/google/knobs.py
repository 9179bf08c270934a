"""The knobs of the simulated Google: what `POST /_sim/settings` may change."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from simulators.json_schema import zone_names
from simulators.oauth import OAuthKnobs


def _zone(name: str) -> str:
    if name not in zone_names():
        raise ValueError("not an IANA time zone")
    return name


class GoogleKnobs(OAuthKnobs):
    client_id: str = "hoop-google"
    client_secret: str = "hoop-google-secret"
    max_refresh_tokens: int = Field(100, ge=1)  # per user; then the oldest one ends without notice

    workspace: bool = True  # users are of organizations (`hd`), except those of gmail.com
    id_token_claims: dict[
        str, Any
    ] = {}  # replace the claims of these names, to be wrong on purpose

    time_zone: Annotated[str, AfterValidator(_zone)] = (
        "UTC"  # of primary calendars created from now on
    )
    holiday_calendar: bool = True  # each user also has a read-only calendar

    page_size: int = Field(2500, ge=1, le=2500)  # the longest page of a list, whatever is requested
    sync_token_max_changes: int = Field(
        0, ge=0
    )  # a sync token expires after so many changes; 0: never
    revive: Literal["ok", "forbidden"] = "ok"  # whether an update may restore a deleted event

    user_per_minute: int = Field(0, ge=0)  # quota units (a patch costs 3); 0: no limit
    rate_limit_status: Literal[403, 429] = 403
    quota_exceeded: bool = False  # "Calendar usage limits exceeded.": writes are refused

    push: Literal["normal", "none", "twice"] = "normal"
    push_delay_seconds: float = Field(0.0, ge=0)
    free_busy_max_days: int = Field(
        90, ge=1
    )  # a longer span is refused; Google does not document its limit
