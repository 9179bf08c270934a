"""Mail addresses: one plain address each, its domain shown in letters and sent in ASCII (RFC 5890)."""

import re

import idna

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}")
_MAX_LENGTH = 254
_MAX_LOCAL_PART_LENGTH = 64
_A_LABEL = "xn--"


def is_ascii_address(text: str) -> bool:
    """Whether the text is one mail address as it is sent: the dot-atom form of RFC 5322, in ASCII.

    Quotes, comments, lists and line breaks are refused, so that an address can neither end a mail
    header nor add a recipient. The domain is a full one; the lengths are those of RFC 5321.
    """
    fits = len(text) <= _MAX_LENGTH and text.find("@") <= _MAX_LOCAL_PART_LENGTH
    return fits and _ADDRESS.fullmatch(text) is not None


def ascii_address(text: str) -> str | None:
    """The address as it is sent, an internationalised domain as `xn--…`; None if the text is none."""
    local, _, domain = text.rpartition("@")
    if len(text) > _MAX_LENGTH:  # before anything is computed of it
        return None
    sent = f"{local}@{_sent(domain)}"
    return sent if is_ascii_address(sent) else None


def mail_address(text: str) -> str | None:
    """The address as it is stored and shown, an internationalised domain in letters; None if it is none.

    Both spellings of such a domain are one address: `info@bücher.example`.
    """
    sent = ascii_address(text)
    if sent is None:
        return None
    local, _, domain = sent.rpartition("@")
    if _A_LABEL not in domain.lower():
        return sent
    try:
        return f"{local}@{idna.decode(domain)}"
    except UnicodeError:  # nobody could have registered this label
        return None


def _sent(domain: str) -> str:
    """The domain in ASCII; one that cannot be is returned as it is, and fits no pattern."""
    if domain.isascii() or not domain:
        return domain
    try:
        return idna.encode(domain, uts46=True).decode()
    except UnicodeError:
        return domain
