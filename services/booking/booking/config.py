"""The settings of booking: the common ones only."""

from hoop_platform.config import Settings


class BookingSettings(Settings):
    """The settings of booking."""
