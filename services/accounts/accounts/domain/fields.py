"""Rules for the fields of a request: names, e-mail addresses, phone numbers and time zones."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hoop_platform.errors import Detail, Invalid
from hoop_platform.mail_addresses import mail_address
from hoop_platform.phone_numbers import phone_number
from hoop_scheduling.zones import is_zone

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MAX_NAME_LENGTH = 200
_MAX_TAG_LENGTH = 50
MAX_TAGS = 50


def is_name(text: str) -> bool:
    """Whether the text can name a person or a thing: not blank, on one line, not too long."""
    return bool(text.strip()) and len(text) <= _MAX_NAME_LENGTH and not _CONTROL.search(text)


def _as_it_is(holds: Callable[[Any], bool]) -> Callable[[Any], Any]:
    return lambda value: value if holds(value) else None


def are_tags(tags: Sequence[str]) -> bool:
    """Whether these can be the tags of a contact: few, short, not blank, each on one line."""
    return len(tags) <= MAX_TAGS and all(
        is_name(tag) and len(tag) <= _MAX_TAG_LENGTH for tag in tags
    )


@dataclass(frozen=True)
class FieldRule:
    """What must hold for a field, and the code and text of the refusal when it does not.

    `normal`: the value as it is stored, for whatever was sent; None for one that is refused.
    """

    normal: Callable[[Any], Any]
    code: str
    text: str
    allowed: frozenset[str | None] = frozenset()
    """Values that need not fulfil the rule."""

    def holds(self, value: Any) -> bool:
        return self._is_allowed(value) or (value is not None and self.normal(value) is not None)

    def normalized(self, value: Any) -> Any:
        """The value as it is stored; one that is refused stays as it is."""
        if value is None or self._is_allowed(value):
            return value
        normal = self.normal(value)
        return value if normal is None else normal

    def _is_allowed(self, value: Any) -> bool:
        return (value is None or isinstance(value, str)) and value in self.allowed

    def or_empty(self) -> "FieldRule":
        """The same rule for a field that may be empty."""
        return replace(self, allowed=self.allowed | {""})

    def or_none(self) -> "FieldRule":
        """The same rule for a field that may be absent."""
        return replace(self, allowed=self.allowed | {None})


NAME = FieldRule(_as_it_is(is_name), "not_a_name", "must be 1 to 200 characters on one line")
ADDRESS = FieldRule(
    mail_address,
    "not_an_address",
    "must be one e-mail address, such as ada@example.com; before the @ in ASCII, without quotes",
)
PHONE = FieldRule(
    phone_number,
    "not_a_phone_number",
    "must be an international phone number that can exist, such as +49 30 123456: a plus sign and "
    "the country code first",
)
ZONE = FieldRule(
    _as_it_is(is_zone), "unknown_time_zone", "must be a name of the IANA time zone database"
)
TAGS = FieldRule(
    _as_it_is(are_tags),
    "not_tags",
    "must be 50 tags at most, each of 1 to 50 characters on one line",
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


def normalized(values: Mapping[str, Any], rules: Mapping[str, FieldRule]) -> dict[str, Any]:
    """The values, by the names of fields, as they are stored; what breaks its rule stays as it is."""
    return {
        name: rules[name].normalized(value) if name in rules else value
        for name, value in values.items()
    }
