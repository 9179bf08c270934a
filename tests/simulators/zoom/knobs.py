"""The knobs of the simulated Zoom: what `POST /_sim/settings` may change."""

from pydantic import Field

from simulators.oauth import OAuthKnobs

SCOPES = [
    "meeting:read:list_meetings",
    "meeting:read:meeting",
    "meeting:update:meeting",
    "meeting:write:meeting",
    "meeting:delete:meeting",
    "user:read:user",
]


class ZoomKnobs(OAuthKnobs):
    client_id: str = "hoop-zoom"
    client_secret: str = "hoop-zoom-secret"
    scopes: list[str] = (
        SCOPES  # the scopes of the app's registration; Zoom ignores those in a query
    )

    grace_seconds: int = Field(0, ge=0)  # how long a replaced refresh token stays valid
    crash_after_rotate: int = Field(
        0, ge=0
    )  # so many refreshes replace the token and send no response
    one_grant_per_user: bool = True  # a newer authorization ends the older one (error 4741)

    daily_limit: int = Field(
        100_000, ge=0
    )  # of create + update per user and UTC day; Zoom's is 100
    delete_counts: bool = (
        False  # deletes count too: the integration guide says so, measurements do not
    )
    light_per_second: int = Field(0, ge=0)  # get, update, delete of one Zoom account; 0: no limit
    medium_per_second: int = Field(0, ge=0)  # create, list
    bare_429: bool = False  # the daily limit responds without type and Retry-After, as observed

    without_password: bool = False  # responses have no `password`
    join_base_url: str = ""  # base of join links; empty: a page of this simulator
