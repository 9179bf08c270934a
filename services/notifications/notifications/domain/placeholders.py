"""Words of a setting with places for facts: `Dear {{contact.name}}`. Nothing in them is executed."""

import re
from collections.abc import Mapping, Sequence

PLACEHOLDERS = (
    "appointment.description",
    "appointment.end_time",
    "appointment.meeting_location",
    "appointment.only_start_date",
    "appointment.only_start_time",
    "appointment.start_time",
    "appointment.timezone",
    "appointment.title",
    "calendar.name",
    "contact.first_name",
    "contact.name",
    "location.name",
    "user.name",
)
_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


def unknown_placeholders(text: str) -> Sequence[str]:
    """What stands in double braces and is no placeholder."""
    return [name for name in map(str.strip, _PLACE.findall(text)) if name not in PLACEHOLDERS]


def fill(text: str, facts: Mapping[str, str]) -> str:
    """The text with facts in their places; a fact is never searched for places itself."""
    return _PLACE.sub(lambda place: facts.get(place[1].strip(), ""), text)
