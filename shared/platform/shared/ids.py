"""Ids: UUIDs spelled as 26 lowercase base32hex characters, made in time order."""

import re
from uuid import UUID

from uuid_utils import uuid7

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
_SHIFTS = range(120, -1, -10)
_SPELLING = re.compile(r"[0-9a-v]{25}[048cgkos]", re.ASCII)


def new_id() -> str:
    """A new id (UUIDv7, RFC 9562): ids sort by the millisecond they were made in."""
    return spell(uuid7().bytes)


def spell(raw: bytes) -> str:
    """16 bytes as 26 characters (RFC 4648, section 7, lowercase, no padding): the order is kept."""
    bits = int.from_bytes(raw, "big") << 2  # 130 of them: thirteen pairs of digits
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])


def unspell(text: str) -> bytes:
    """The 16 bytes of an id; `ValueError` when it is none."""
    if not is_id(text):
        raise ValueError("an id is 26 characters of 0-9 and a-v")
    return (int(text, 32) >> 2).to_bytes(16, "big")


def hexed(text: str) -> str:
    """The id as Postgres spells a UUID, where it stands inside JSON or text."""
    return str(UUID(bytes=unspell(text)))


def is_id(text: str) -> bool:
    """Say whether this is the one spelling of some id."""
    return _SPELLING.fullmatch(text) is not None


def from_uuid(value: UUID) -> str:
    """The spelling of a UUID made elsewhere."""
    return spell(value.bytes)
