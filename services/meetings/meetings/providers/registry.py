"""The providers of online meetings. Another one is a module beside this one, and its line here."""

from meetings.providers import zoom
from meetings.providers.conference import Conference

PROVIDERS: dict[str, Conference] = {"zoom": zoom.CONFERENCE}
