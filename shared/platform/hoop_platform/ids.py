"""Ids: UUIDs spelled as 26 lowercase base32hex characters, made in time order."""

import re
from functools import lru_cache
from uuid import UUID, uuid5

from uuid_utils import uuid7

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
_SHIFTS = range(120, -1, -10)
_KNOWN = 65_536
"""The same few ids come again and again: a booking has its account's in it a dozen times."""
_SPELLING = re.compile(r"[0-9a-v]{25}[048cgkos]", re.ASCII)
_OCCURRENCE = re.compile(r"([0-9a-v]{26})_(\d{1,15})_(\d{1,7})", re.ASCII)


def new_id() -> str:
    """A new id (UUIDv7, RFC 9562): ids sort by the millisecond they were made in."""
    return _spelled(uuid7().bytes)


@lru_cache(_KNOWN)
def spell(raw: bytes) -> str:
    """16 bytes as 26 characters (RFC 4648, section 7, lowercase, no padding): the order is kept."""
    return _spelled(raw)


def _spelled(raw: bytes) -> str:
    bits = int.from_bytes(raw, "big") << 2  # 130 of them: thirteen pairs of digits
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])


@lru_cache(_KNOWN)
def unspell(text: str) -> bytes:
    """The 16 bytes of an id; `ValueError` when it is none."""
    if not is_id(text):
        raise ValueError("an id is 26 characters of 0-9 and a-v")
    return (int(text, 32) >> 2).to_bytes(16, "big")


def hexed(text: str) -> str:
    """The id as Postgres spells a UUID, where it stands inside JSON or text."""
    digits = unspell(text).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def is_id(text: str) -> bool:
    """Say whether this is the one spelling of some id."""
    return _SPELLING.fullmatch(text) is not None


def from_uuid(value: UUID) -> str:
    """The spelling of a UUID made elsewhere."""
    return spell(value.bytes)


def row_id(public: str) -> str | None:
    """The id inside of the appointment that has this id in the API; None for what cannot be an id.

    That of an occurrence (`<series>_<milliseconds>_<seconds>`) follows from its public one (UUIDv5,
    RFC 9562), so neither is looked up.
    """
    if is_id(public):
        return public
    found = _OCCURRENCE.fullmatch(public)
    if found is None or not is_id(found[1]):
        return None
    return from_uuid(uuid5(UUID(bytes=unspell(found[1])), f"{found[2]}_{found[3]}"))
