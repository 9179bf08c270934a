"""What is sealed opens with its own key, with its own aad, and not otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from hoop_platform.secrets import LOCAL_KEY, BadKey, Cipher, Unsealable, context, new_key

AAD = context("account-a", "zoom", "row-1")


def test_what_is_sealed_opens_with_its_aad():
    """The plain bytes come back, and nothing of them can be seen in the sealed ones."""
    cipher = Cipher.from_key(new_key())

    sealed = cipher.seal(b"a-refresh-token", aad=AAD)

    assert cipher.open(sealed, aad=AAD) == b"a-refresh-token"
    assert b"refresh" not in sealed


def test_sealing_twice_looks_different():
    """Equal tokens cannot be recognised by their sealed bytes."""
    cipher = Cipher.from_key(new_key())

    assert cipher.seal(b"same", aad=AAD) != cipher.seal(b"same", aad=AAD)


@pytest.mark.parametrize(
    "aad",
    [
        ("account-b", "zoom", "row-1"),
        ("account-a", "google", "row-1"),
        ("account-a", "zoom", "row-2"),
        ("account-a", "zoomrow-1"),
        ("account-a,zoom", "row-1"),
    ],
)
def test_a_sealed_value_does_not_open_elsewhere(aad):
    """Neither in another account, nor with another provider, nor in another row."""
    cipher = Cipher.from_key(new_key())
    sealed = cipher.seal(b"secret", aad=AAD)

    with pytest.raises(Unsealable):
        cipher.open(sealed, aad=context(*aad))


def test_another_key_does_not_open():
    """Who has the database but not the key has nothing."""
    sealed = Cipher.from_key(new_key()).seal(b"secret", aad=AAD)

    with pytest.raises(Unsealable):
        Cipher.from_key(new_key()).open(sealed, aad=AAD)


@given(st.data())
def test_a_changed_byte_is_noticed(data):
    """Whatever byte is flipped or cut off, the value does not open."""
    cipher = Cipher.from_key(LOCAL_KEY, local=True)
    sealed = bytearray(cipher.seal(b"secret", aad=AAD))
    at = data.draw(st.integers(0, len(sealed) - 1))
    if data.draw(st.booleans()):
        del sealed[at:]
    else:
        sealed[at] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(Unsealable):
        cipher.open(bytes(sealed), aad=AAD)


def test_the_key_is_replaced_without_losing_a_row():
    """New key in front: all rows open; sealed again, they open without the old key."""
    old, new = new_key(), new_key()
    sealed = Cipher.from_key(old).seal(b"secret", aad=AAD)

    both = Cipher.from_key(f"{new},{old}")
    again = both.reseal(sealed, aad=AAD)

    assert both.open(sealed, aad=AAD) == b"secret"
    assert Cipher.from_key(new).open(again, aad=AAD) == b"secret"
    with pytest.raises(Unsealable):
        Cipher.from_key(new).open(sealed, aad=AAD)


def test_during_the_rotation_replicas_read_each_other():
    """A replica that already seals with the new key is read by one that has it as second key."""
    old, new = new_key(), new_key()
    ahead, behind = Cipher.from_key(f"{new},{old}"), Cipher.from_key(f"{old},{new}")

    assert behind.open(ahead.seal(b"secret", aad=AAD), aad=AAD) == b"secret"
    assert ahead.open(behind.seal(b"secret", aad=AAD), aad=AAD) == b"secret"


@pytest.mark.parametrize("text", ["", " ", ",", "nonsense", "not base64 at all!", "AAAA", "ä"])
def test_a_text_that_is_no_key_is_refused(text):
    """The refusal says how to make one and does not repeat the text."""
    with pytest.raises(BadKey, match="new_key") as refusal:
        Cipher.from_key(text)

    assert refusal.value.__cause__ is None
    assert not text.strip(" ,") or text not in str(refusal.value)


@pytest.mark.parametrize("text", [LOCAL_KEY, f"{new_key()},{LOCAL_KEY}", f" {LOCAL_KEY}"])
def test_the_key_that_everybody_knows_is_refused_unless_local(text):
    """Not even as an old key: what it sealed would have been open to everybody."""
    with pytest.raises(BadKey, match="everybody"):
        Cipher.from_key(text)

    assert Cipher.from_key(text, local=True)


def test_nothing_of_the_key_is_shown():
    """Neither the cipher nor the setting that holds the key prints it."""
    key = new_key()
    cipher = Cipher.from_key(SecretStr(key))

    assert key not in f"{cipher!r} {cipher} {vars(cipher)} {SecretStr(key)!r}"
