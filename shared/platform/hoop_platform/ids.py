"""Ids: UUIDs spelled as 26 lowercase base32hex characters, ordered by time."""

import re
from functools import lru_cache
from uuid import UUID, uuid5

from uuid_utils import uuid7

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
_SHIFTS = range(120, -1, -10)
_KNOWN = 65_536
"""Spellings that are cached: one booking has its account's id in it a dozen times."""
_SPELLING = re.compile(r"[0-9a-v]{25}[048cgkos]", re.ASCII)
_OCCURRENCE = re.compile(r"([0-9a-v]{26})_(\d{1,15})_(\d{1,7})", re.ASCII)


def new_id() -> str:
    """A new id (UUIDv7, RFC 9562): ids sort by the millisecond of their creation."""
    return _spelled(uuid7().bytes)


@lru_cache(_KNOWN)
def spell(raw: bytes) -> str:
    """16 bytes as 26 characters (RFC 4648, section 7, lowercase, no padding): the order of the bytes is kept."""
    return _spelled(raw)


def _spelled(raw: bytes) -> str:
    bits = int.from_bytes(raw, "big") << 2  # 130 of them: thirteen pairs of digits
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])


@lru_cache(_KNOWN)
def unspell(text: str) -> bytes:
    """The 16 bytes of an id; raises `ValueError` for any other text."""
    if not is_id(text):
        raise ValueError("an id is 26 characters of 0-9 and a-v")
    return (int(text, 32) >> 2).to_bytes(16, "big")


def hexed(text: str) -> str:
    """The id in the UUID spelling of Postgres, for JSON and text."""
    digits = unspell(text).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def is_id(text: str) -> bool:
    """Whether the text is an id in its only spelling."""
    return _SPELLING.fullmatch(text) is not None


def from_uuid(value: UUID) -> str:
    """The id of a UUID."""
    return spell(value.bytes)


def row_id(public: str) -> str | None:
    """The row's id of the appointment with this id in the API; None for what cannot be an id.

    An occurrence of a series (`<series>_<milliseconds>_<seconds>` in the API) has a UUIDv5 (RFC 9562) of
    that text as its row's id, so no lookup is needed.
    """
    if is_id(public):
        return public
    found = _OCCURRENCE.fullmatch(public)
    if found is None or not is_id(found[1]):
        return None
    return from_uuid(uuid5(UUID(bytes=unspell(found[1])), f"{found[2]}_{found[3]}"))
