"""The keys under which contacts are found: by the beginnings of words, and by a whole address or number."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from hoop_platform.mail_addresses import mail_address

Identity = Literal["email", "phone"]
"""A field that can tell who a contact is."""

MAX_TERMS = 8
_MAX_KEY_LENGTH = 100
"""Characters of a word that are compared, so that each key fits into an index entry."""
_LAST_CHARACTER = "\U0010ffff"
_NOT_DECOMPOSED = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"}
)
"""Letters that have no decomposition into a base letter and an accent (Unicode, UAX 15)."""
_PHONE = re.compile(r"\+?[0-9() .-]*[0-9][0-9() .-]*", re.ASCII)
_PIECES = re.compile(r"[\W_]+")
_FEWEST_DIGITS = 3


@dataclass(frozen=True)
class SearchTerm:
    """A contact matches if one of its keys lies between the two, both included."""

    low: str
    high: str


def fold(text: str) -> str:
    """The text without case and accents: `Zoë` and `ZOE` become `zoe`."""
    letters = unicodedata.normalize("NFKD", text.casefold().translate(_NOT_DECOMPOSED))
    return "".join(each for each in letters if not unicodedata.combining(each)).casefold()


def search_keys(name: str, email: str, phone: str) -> list[str]:
    """All keys of a contact: the words of its name, its address with its pieces, its number."""
    keys = {*_words(name), *_words(email)}
    if email:
        keys |= {fold(email.rpartition("@")[2]), _exact("email", email)}
    if phone:
        keys |= {_digits(phone), _exact("phone", phone)}
    return sorted(key[:_MAX_KEY_LENGTH] if key[0] != "=" else key for key in keys if key)


def terms_of(query: str) -> Sequence[SearchTerm]:
    """What a search text asks for: each of its words begins a word of the contact.

    A text of digits and separators is one telephone number.
    """
    whole = query.strip()
    if _is_phone(whole):
        return (_prefix(_digits(whole)),)
    words = [_digits(word) if _is_phone(word) else _trimmed(fold(word)) for word in whole.split()]
    return [_prefix(word) for word in dict.fromkeys(words) if word][:MAX_TERMS]


def exactly(field: Identity, value: str) -> SearchTerm:
    """The term for contacts with this whole address, whatever its case, or this number."""
    key = _exact(field, value)
    return SearchTerm(key, key)


def _exact(field: Identity, value: str) -> str:
    if field == "phone":
        return f"={_digits(value)}"
    address = value.strip()
    return f"={(mail_address(address) or address).lower()}"


def _prefix(word: str) -> SearchTerm:
    low = word[:_MAX_KEY_LENGTH]
    return SearchTerm(low, low + _LAST_CHARACTER)


def _words(text: str) -> Iterator[str]:
    """The words of a text, and the pieces of those that have several: `jean-paul`, `paul`."""
    for word in fold(text).split():
        yield _trimmed(word)
        yield from _PIECES.split(word)


def _trimmed(word: str) -> str:
    return re.sub(r"^[\W_]+|[\W_]+$", "", word)


def _is_phone(text: str) -> bool:
    return _PHONE.fullmatch(text) is not None and len(_digits(text)) >= _FEWEST_DIGITS


def _digits(phone: str) -> str:
    """The digits of a number, in international form without `+` or `00`."""
    return re.sub(r"[^0-9]", "", phone).removeprefix("00")
