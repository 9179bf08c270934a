"""The settings of availability."""

from pydantic import Field

from hoop_platform.config import Settings


class AvailabilitySettings(Settings):
    """The settings of availability besides those that every service has."""

    cache_intervals: int = Field(
        1_000_000,
        ge=0,
        description="busy times that a replica keeps in memory, some 100 bytes each",
    )
