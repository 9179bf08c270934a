"""Texts of people, made safe to stand in a mail or a calendar file; and what counts as one address."""

import re

_LINE_ENDS = re.compile("\r\n|[\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(
    rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@(?:{_LABEL}\.)+{_LABEL}", re.ASCII
)
_WEB = re.compile(r"https?://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]{1,1900}", re.ASCII)


def plain(text: str, *, limit: int = 4000) -> str:
    """Any number of lines, ended by a newline alone, without control characters.

    NUL, NEL and the Unicode line and paragraph separators count, which icalendar lets pass (and
    RFC 5545, section 3.3.11, does not).
    """
    return _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))[:limit].strip()


def one_line(text: str, *, limit: int = 200) -> str:
    """The text on one line: safe in a header, a subject, a name."""
    return " ".join(plain(text).split())[:limit].rstrip()


def one_address(text: str) -> str | None:
    """The text, if it is exactly one plain mail address (RFC 5321, without quoting); else None.

    No comma, no comment, no address literal: nothing that a mail server might read as two receivers.
    """
    local, _, _ = text.rpartition("@")
    fits = len(text) <= 254 and _ADDRESS.fullmatch(text) is not None
    dots_well = not (local.startswith(".") or local.endswith(".") or ".." in local)
    return text if fits and dots_well else None


def web_link(text: str | None) -> str | None:
    """The text, if it is a link that may be offered for a click; else None."""
    return text if text and _WEB.fullmatch(text) else None
