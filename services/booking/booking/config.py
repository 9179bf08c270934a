"""Booking needs nothing beyond what every service needs."""

from shared.config import Settings


class BookingSettings(Settings):
    """The settings of booking."""
