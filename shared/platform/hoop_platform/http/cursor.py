"""Cursors: where a list goes on, as text that only we can read and any URL can carry."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

import orjson

from hoop_platform.errors import Invalid, invalid

Value = str | int
LONGEST = 300
_SUM = 6  # bytes


def encode(values: Sequence[Value]) -> str:
    """The place of the last item shown, as its sort key tells it."""
    said = orjson.dumps(list(values))
    return urlsafe_b64encode(_sum(said) + said).rstrip(b"=").decode()


def decode(text: str, *kinds: type[Value]) -> list[Value]:
    """What was encoded, when it is one value of each of these kinds (of any, if none is named).

    Anything else raises `Invalid`, 422. The sum finds what was cut or mistyped; it is no secret, for a
    cursor says where to go on and never what may be seen.
    """
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4)) if len(text) <= LONGEST else b""
        values = orjson.loads(raw[_SUM:])
    except ValueError:
        raise foreign() from None
    if not isinstance(values, list) or encode(values) != text:
        raise foreign()
    if kinds and tuple(type(value) for value in values) != kinds:
        raise foreign()
    return values


def _sum(said: bytes) -> bytes:
    return hashlib.sha256(said).digest()[:_SUM]


def foreign() -> Invalid:
    """What is refused as no cursor of this list."""
    return invalid("cursor", "cursor", "is none that was given out for this list")
