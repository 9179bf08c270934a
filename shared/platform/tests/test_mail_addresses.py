"""Mail addresses, as they are sent and as they are shown, phone numbers, and the direction of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoop_platform.direction import without_overrides
from hoop_platform.mail_addresses import ascii_address, is_ascii_address, mail_address
from hoop_platform.phone_numbers import phone_number

NO_ADDRESSES = [
    "",
    "ada",
    "ada@localhost",
    "ada@@example.com",
    "@example.com",
    ".ada@example.com",
    "ada.@example.com",
    "ada..b@example.com",
    "ada@example.com\n",
    "ada@example.com\r\nBcc: eve@example.com",
    "ada@example.com, eve@example.com",
    "ada@example.com;eve@example.com",
    "ada@example.com eve@example.com",
    "Ada <ada@example.com>",
    '"ada,eve"@example.com',
    "ada@-example.com",
    "ada@example.com.",
    "ada@[127.0.0.1]",
    "jörg@example.com",
    "ada@exam\u202eple.com",
    "ada@-bücher.example",
    "ada@bücher .example",
    "ada@xn--.example",
    "ada@xn--0.example",
    "x" * 65 + "@example.com",
    "a" * 250 + "@x.de",
    "a@" + "b" * 63 + ".c" * 100,
    "a@" + "ü" * 63 + ".example",
]


@pytest.mark.parametrize(
    "text",
    ["ada@example.com", "a.b+c@mail.example.co.uk", "o'neil@Example.COM", "x" * 64 + "@a.de"],
)
def test_an_address_is_sent_and_shown_as_it_is(text: str) -> None:
    assert is_ascii_address(text)
    assert (ascii_address(text), mail_address(text)) == (text, text)


@pytest.mark.parametrize(
    ("typed", "sent", "shown"),
    [
        ("info@bücher.example", "info@xn--bcher-kva.example", "info@bücher.example"),
        ("info@xn--bcher-kva.example", "info@xn--bcher-kva.example", "info@bücher.example"),
        ("info@BÜCHER.Example", "info@xn--bcher-kva.example", "info@bücher.example"),
        ("info@bu\u0308cher.example", "info@xn--bcher-kva.example", "info@bücher.example"),
        ("i@例え。テスト", "i@xn--r8jz45g.xn--zckzah", "i@例え.テスト"),
        ("i@straße.example", "i@xn--strae-oqa.example", "i@straße.example"),
    ],
)
def test_an_internationalised_domain(typed: str, sent: str, shown: str) -> None:
    """However it is typed, it is one address: sent in ASCII, shown in letters (RFC 5891)."""
    assert (ascii_address(typed), mail_address(typed)) == (sent, shown)
    assert (ascii_address(shown), mail_address(sent)) == (sent, shown)


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_everything_but_one_address_is_refused(text: str) -> None:
    """No text passes that could end a mail header or name a second recipient."""
    assert mail_address(text) is None


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_an_address_contains_no_header_syntax(text: str) -> None:
    """Whatever is put around or into an address: what is sent has one @ and no header syntax."""
    for candidate in (f"ada{text}@example.com", f"ada@example.com{text}", f"a@{text}.de", text):
        if (sent := ascii_address(candidate)) is not None:
            assert is_ascii_address(sent)
            assert sent.count("@") == 1
            assert not set(sent) & set('\r\n\t ,;:<>()[]"\\')
        if (shown := mail_address(candidate)) is not None:
            assert mail_address(shown) == shown
            assert not set(shown) & set('\r\n\t ,;:<>()[]"\\\u202e')


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("+49 30 123456", "+4930123456"),
        ("+49 (30) 12-34.56", "+4930123456"),
        ("+12125550123", "+12125550123"),
        ("+4930123456", "+4930123456"),
        ("030 123456", None),
        ("0049 30 123456", "+4930123456"),
        ("+49", None),
        ("+49 30 1", None),
        ("+1 212 555", None),
        ("+999 123456789", None),
        ("+1" + "2" * 15, None),
        ("+49301234\n5", None),
        ("+٤٩٣٠١٢٣٤٥٦", None),
        ("+49 30 123456 ext. 7", None),
        ("call me", None),
        ("", None),
    ],
)
def test_phone_numbers(typed: str, number: str | None) -> None:
    """The international form of E.164, of numbers that can exist."""
    assert phone_number(typed) == number


def test_overrides_of_direction_are_removed() -> None:
    """Letters that are written from right to left stay, and marks that affect nothing else."""
    assert without_overrides("a\u202ab\u202ec\u2066d\u2069e \u200fאבג") == "abcde \u200fאבג"
