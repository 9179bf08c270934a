"""Text that people typed: cleaned for mails and calendar files, its placeholders, its links."""

import re
from collections.abc import Mapping, Sequence

from hoop_platform.direction import without_overrides

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
"""The names that a notification setting may use, as in `Dear {{contact.name}}`."""
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)

_LINE_ENDS = re.compile("\r\n|[\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_WEB_LINK = re.compile(r"https?://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]{1,1900}", re.ASCII)


def unknown_placeholders(text: str) -> Sequence[str]:
    """The names in double braces that are not placeholders."""
    return [name for name in map(str.strip, _PLACEHOLDER.findall(text)) if name not in PLACEHOLDERS]


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders replaced. Values are inserted as they are, never searched again."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1].strip(), ""), text)


def plain(text: str, *, limit: int = 4000) -> str:
    """Any number of lines, each ended by a newline alone, without control characters.

    NUL, NEL and the Unicode line and paragraph separators are removed or replaced, too: icalendar
    lets them pass, and RFC 5545, section 3.3.11, does not.
    """
    return _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))[:limit].strip()


def one_line(text: str, *, limit: int = 200) -> str:
    """The text on one line, read in the direction of its letters: safe in a header, a subject or a name."""
    return " ".join(plain(without_overrides(text)).split())[:limit].rstrip()


def has_controls(text: str) -> bool:
    """Whether the text holds a line end or a control character other than a tab."""
    return bool(_LINE_ENDS.search(text) or _CONTROLS.search(text))


def web_link(text: str | None) -> str | None:
    """The text, if it is an http or https link that is safe in a mail; else None."""
    return text if text and _WEB_LINK.fullmatch(text) else None
