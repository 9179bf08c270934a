"""Encryption at rest of provider tokens, app passwords and code verifiers.

AES-256-GCM by way of Tink, which defines format, key ids and rotation. A sealed value is bound to a *context* (account, provider, row): a sealed value copied into
another row, or another tenant's row, does not open there.
"""

import base64
import binascii
import json

import tink
from pydantic import SecretStr
from tink import aead, proto_keyset_format, secret_key_access

LOCAL_KEY = "CK3p0bYBEmQKWAowdHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUuY3J5cHRvLnRpbmsuQWVzR2NtS2V5EiIaILyFqFhtrfy9cw53E3GVZAi6Y9gKOcIFvyGV6kKZYgzyGAEQARit6dG2ASAB"
"""Public, since it stands in this file: for local stacks and tests only, refused elsewhere."""

aead.register()


class Unsealable(Exception):
    """The sealed bytes do not open: another key, another context, or not the bytes we sealed."""


class BadKey(ValueError):
    """The text is no key, or one that everybody knows; the message says which, never the text."""


class Cipher:
    """Seals and opens with the keys of one service. Its `repr` shows nothing of them."""

    def __init__(self, keyset: tink.KeysetHandle) -> None:
        self._aead: aead.Aead = keyset.primitive(aead.Aead)  # type: ignore[type-abstract] # Tink looks primitives up by their abstract class

    @classmethod
    def from_key(cls, text: str | SecretStr, *, local: bool = False) -> "Cipher":
        """Read `new_key()` texts, separated by commas: the first seals, all of them open.

        To rotate: put a new key in front, restart, seal the rows again (`reseal`), then drop the old
        key. `LOCAL_KEY` is accepted only when the system runs `local`ly. Raises `BadKey`.
        """
        plain = text.get_secret_value() if isinstance(text, SecretStr) else text
        keys = [part.strip() for part in plain.split(",")]
        if LOCAL_KEY in keys and not local:
            raise BadKey(
                "this is the key for local use, which everybody knows: make one of your own"
            )
        try:
            # Protocol buffers merge by concatenation, and the last primary key id wins:
            # hence the first key of the list goes last.
            joined = b"".join(base64.urlsafe_b64decode(key) for key in reversed(keys))
            return cls(proto_keyset_format.parse(joined, secret_key_access.TOKEN))
        except (binascii.Error, UnicodeError, tink.TinkError, ValueError):
            # Without a cause: the texts of these errors may quote the key.
            raise BadKey("this is not a key: make one with `new_key`") from None

    def seal(self, plain: bytes, *, aad: bytes) -> bytes:
        """Encrypt; the result names its key (by id) and opens only with the same `aad`."""
        return self._aead.encrypt(plain, aad)

    def open(self, sealed: bytes, *, aad: bytes) -> bytes:
        """Decrypt what `seal` returned for the same `aad`. Raises `Unsealable`."""
        try:
            return self._aead.decrypt(sealed, aad)
        except tink.TinkError as error:
            raise Unsealable("sealed with another key, for another row, or damaged") from error

    def reseal(self, sealed: bytes, *, aad: bytes) -> bytes:
        """The same content under the first key. Raises `Unsealable`."""
        return self.seal(self.open(sealed, aad=aad), aad=aad)


def context(*parts: str) -> bytes:
    """The `aad` that binds a sealed value to its row, such as (account id, provider, row id)."""
    return json.dumps(parts, separators=(",", ":")).encode()


def new_key() -> str:
    """A new key as text, for a setting or a secret store."""
    keyset = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    serialized = proto_keyset_format.serialize(keyset, secret_key_access.TOKEN)
    return base64.urlsafe_b64encode(serialized).decode()
