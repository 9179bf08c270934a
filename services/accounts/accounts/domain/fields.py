"""What may stand in a field that people fill in."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hoop_platform.errors import Detail, Invalid
from hoop_scheduling.zones import is_zone

_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_WORD}(?:\.{_WORD})*@(?:{_LABEL}\.)+{_LABEL}")
_PHONE = re.compile(r"\+?[0-9](?:[ ().-]{0,2}[0-9]){4,14}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LONGEST_ADDRESS = 254
_LONGEST_LOCAL_PART = 64
_LONGEST_NAME = 200


def is_address(text: str) -> bool:
    """Whether this is one e-mail address: the dot-atom form of RFC 5322, in ASCII, with a full domain.

    Quotes, comments, lists and line breaks are refused: nothing in it can end a header of a message
    or add a receiver. The lengths are those of RFC 5321.
    """
    fits = len(text) <= _LONGEST_ADDRESS and text.find("@") <= _LONGEST_LOCAL_PART
    return fits and _ADDRESS.fullmatch(text) is not None


def is_phone(text: str) -> bool:
    """Whether this is one phone number: 5 to 15 digits (E.164 allows 15), with marks between them."""
    return _PHONE.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether this can name somebody or something, on one line."""
    return bool(text.strip()) and len(text) <= _LONGEST_NAME and not _CONTROL.search(text)


@dataclass(frozen=True)
class Rule:
    """What must hold for a field, and how its breach is told."""

    holds: Callable[[str], bool]
    code: str
    text: str

    def or_empty(self) -> "Rule":
        """The same for a field that may be empty."""
        return Rule(lambda text: not text or self.holds(text), self.code, self.text)

    def or_none(self) -> "Rule":
        """The same for a field that may be absent."""
        return Rule(lambda text: text is None or self.holds(text), self.code, self.text)


NAME = Rule(is_name, "not_a_name", "must be 1 to 200 characters on one line")
ADDRESS = Rule(is_address, "not_an_address", "must be one e-mail address")
PHONE = Rule(is_phone, "not_a_phone_number", "must be a number of 5 to 15 digits")
ZONE = Rule(is_zone, "unknown_time_zone", "must be a name of the IANA time zone database")

PATHS = {"name": "name", "email": "email", "phone": "phone", "time_zone": "timeZone"}
"""How clients call the fields that have rules."""


def check(row: object, rules: Mapping[str, Rule]) -> None:
    """Raise `Invalid` with every field of `row` that breaks its rule."""
    broken = [
        Detail(PATHS[name], rule.code, rule.text)
        for name, rule in rules.items()
        if not rule.holds(getattr(row, name))
    ]
    if broken:
        raise Invalid(details=broken)
