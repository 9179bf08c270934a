"""The consistency token (`X-Read-Token`): versions that a later response must not be older than."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping

from hoop_platform.errors import Malformed
from hoop_platform.ids import spell, unspell

HEADER = "X-Read-Token"

_FORMAT = 1
_ID_BYTES = 16
_VERSION_BITS = 63
_MOST = 60
"""Most ids in one token: they fit into the header, whatever their versions."""


def encode(versions: Mapping[str, int]) -> str:
    """Versions by id as URL-safe text of at most 2,048 characters.

    All versions of one response become visible together, so where there are too many, some of them
    stand for all.
    """
    raw = bytearray([_FORMAT])
    for key in sorted(versions)[:_MOST]:
        raw += unspell(key)
        raw += _varint(versions[key])
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> dict[str, int]:
    """The versions of a token; raises `Malformed` for anything that `encode` did not return."""
    try:
        found = dict(_pairs(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))))
        ours = encode(found) == text
    except (ValueError, IndexError):
        ours, found = False, {}
    if not ours:
        raise Malformed(f"The header `{HEADER}` is not one that a response has carried.")
    return found


def _pairs(raw: bytes) -> Iterator[tuple[str, int]]:
    if raw[0] != _FORMAT:
        raise ValueError("another format")
    at = 1
    while at < len(raw):
        key, at = spell(raw[at : at + _ID_BYTES].ljust(_ID_BYTES, b"\0")), at + _ID_BYTES
        version, shift = 0, 0
        while True:
            byte, at = raw[at], at + 1
            version |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift > _VERSION_BITS:
                raise ValueError("no such version")
        yield key, version


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first (LEB128)."""
    if not 0 <= number < 1 << _VERSION_BITS:
        raise ValueError("a version counts up from 0")
    raw = bytearray()
    while number > 0x7F:
        raw.append(number & 0x7F | 0x80)
        number >>= 7
    raw.append(number)
    return bytes(raw)
