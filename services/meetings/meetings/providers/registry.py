"""The providers of online meetings. Another one is a module beside this one, and its line here."""

from meetings.providers import zoom
from meetings.providers.conference import Conference

PROVIDERS: dict[str, Conference] = {"zoom": zoom.CONFERENCE}


def provider_of(location_type: str) -> str | None:
    """The provider that makes the meeting of this `meetingLocationType`; None if no provider here does."""
    return next(
        (name for name, each in PROVIDERS.items() if location_type in each.location_types), None
    )
