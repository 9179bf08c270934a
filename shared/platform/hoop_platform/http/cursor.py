"""Cursors: the position at which a list continues, as opaque URL-safe text."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

import orjson

from hoop_platform.errors import Invalid, invalid

Value = str | int
LONGEST = 300
_CHECKSUM = 6  # bytes


def encode(values: Sequence[Value]) -> str:
    """The sort key of the last item of a page, as a cursor."""
    raw = orjson.dumps(list(values))
    return urlsafe_b64encode(_checksum(raw) + raw).rstrip(b"=").decode()


def decode(text: str, *kinds: type[Value]) -> list[Value]:
    """The encoded sort key, with one value of each of these types (any, if none is given).

    Raises `Invalid` (422) for anything else. The checksum detects truncated or mistyped text; it needs no
    secret, since a cursor is a position and grants no access.
    """
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4)) if len(text) <= LONGEST else b""
        values = orjson.loads(raw[_CHECKSUM:])
    except ValueError:
        raise foreign() from None
    if not isinstance(values, list) or encode(values) != text:
        raise foreign()
    if kinds and tuple(type(value) for value in values) != kinds:
        raise foreign()
    return values


def _checksum(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()[:_CHECKSUM]


def foreign() -> Invalid:
    """The error for text that is no cursor of this list."""
    return invalid("cursor", "cursor", "is none that was given out for this list")
