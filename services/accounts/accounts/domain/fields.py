"""Rules for the fields of a request: names, e-mail addresses, phone numbers and time zones."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hoop_platform.errors import Detail, Invalid
from hoop_scheduling.zones import is_zone

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}")
_PHONE = re.compile(r"\+?[0-9](?:[ ().-]{0,2}[0-9]){4,14}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MAX_ADDRESS_LENGTH = 254
_MAX_LOCAL_PART_LENGTH = 64
_MAX_NAME_LENGTH = 200
_MAX_TAG_LENGTH = 50
MAX_TAGS = 50


def is_address(text: str) -> bool:
    """Whether the text is one e-mail address: the dot-atom form of RFC 5322, in ASCII, with a full domain.

    Quotes, comments, lists and line breaks are refused, so that an address can neither end a mail
    header nor add a recipient. The lengths are those of RFC 5321.
    """
    fits = len(text) <= _MAX_ADDRESS_LENGTH and text.find("@") <= _MAX_LOCAL_PART_LENGTH
    return fits and _ADDRESS.fullmatch(text) is not None


def is_phone(text: str) -> bool:
    """Whether the text is one phone number: 5 to 15 digits (E.164 allows 15), with separators between."""
    return _PHONE.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether the text can name a person or a thing: not blank, on one line, not too long."""
    return bool(text.strip()) and len(text) <= _MAX_NAME_LENGTH and not _CONTROL.search(text)


def are_tags(tags: Sequence[str]) -> bool:
    """Whether these can be the tags of a contact: few, short, not blank, each on one line."""
    return len(tags) <= MAX_TAGS and all(
        is_name(tag) and len(tag) <= _MAX_TAG_LENGTH for tag in tags
    )


@dataclass(frozen=True)
class FieldRule:
    """What must hold for a field, and the code and text of the refusal when it does not."""

    holds: Callable[[Any], bool]
    code: str
    text: str

    def or_empty(self) -> "FieldRule":
        """The same rule for a field that may be empty."""
        return FieldRule(lambda text: not text or self.holds(text), self.code, self.text)

    def or_none(self) -> "FieldRule":
        """The same rule for a field that may be absent."""
        return FieldRule(lambda text: text is None or self.holds(text), self.code, self.text)


NAME = FieldRule(is_name, "not_a_name", "must be 1 to 200 characters on one line")
ADDRESS = FieldRule(is_address, "not_an_address", "must be one e-mail address")
PHONE = FieldRule(is_phone, "not_a_phone_number", "must be a number of 5 to 15 digits")
ZONE = FieldRule(is_zone, "unknown_time_zone", "must be a name of the IANA time zone database")
TAGS = FieldRule(
    are_tags, "not_tags", "must be 50 tags at most, each of 1 to 50 characters on one line"
)

PATHS = {
    "name": "name",
    "first_name": "firstName",
    "last_name": "lastName",
    "email": "email",
    "phone": "phone",
    "time_zone": "timeZone",
    "tags": "tags",
}
"""The names in JSON of the fields that have rules."""


def check_fields(entity: object, rules: Mapping[str, FieldRule]) -> None:
    """Raise `Invalid` with one detail for each field of `entity` that breaks its rule."""
    broken = [
        Detail(PATHS[name], rule.code, rule.text)
        for name, rule in rules.items()
        if not rule.holds(getattr(entity, name))
    ]
    if broken:
        raise Invalid(details=broken)
