"""Availability needs nothing beyond what every service needs."""

from shared.config import Settings


class AvailabilitySettings(Settings):
    """The settings of availability."""
