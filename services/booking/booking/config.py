"""Booking needs nothing beyond what every service needs."""

from hoop_platform.config import Settings


class BookingSettings(Settings):
    """The settings of booking."""
