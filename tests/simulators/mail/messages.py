"""A received mail, parsed for tests and for the inbox page."""

import email
import email.policy
import re
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import EmailMessage
from functools import cached_property
from typing import Any

SUBJECT = re.compile(r"^subject:[ \t]*(.*(?:\r?\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)
COMPUTED = ("_json", "subject")
"""What is computed once for each mail; it is not part of the state that is kept."""


@dataclass(frozen=True)
class MailMessage:
    """A received mail."""

    id: str
    at: str
    sender: str  # of the envelope
    recipients: list[str]  # of the envelope
    raw: str

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in COMPUTED}

    @cached_property
    def subject(self) -> str:
        """The subject, without parsing the whole mail: a list of ten thousand shows them."""
        head = self.raw.find("\r\n\r\n")
        found = SUBJECT.search(self.raw, 0, len(self.raw) if head < 0 else head)
        text = re.sub(r"\r?\n", "", found[1]).strip() if found else ""
        if "=?" not in text:
            return text
        try:
            return str(make_header(decode_header(text)))
        except (HeaderParseError, LookupError, UnicodeError, ValueError):
            return text

    def mentions(self, words: str) -> bool:
        """Whether the subject or an address contains these words, however they are written."""
        sought = words.casefold()
        return any(sought in text.casefold() for text in (self.subject, *self.recipients))

    def as_json(self) -> dict[str, Any]:
        """The mail as JSON: envelope, headers, bodies, attachments and source.

        `from` and `to` are the envelope's; `ics` is the first calendar part's text.
        """
        return self._json

    @cached_property
    def _json(self) -> dict[str, Any]:
        mail = parsed(self.raw)
        attachments = [_attachment(part) for part in mail.walk() if _is_attached(part)]
        return {
            "id": self.id,
            "at": self.at,
            "from": self.sender,
            "to": self.recipients,
            "subject": str(mail["Subject"] or ""),
            "message_id": str(mail["Message-ID"] or ""),
            "headers": {name: str(value) for name, value in mail.items()},
            "text": _body(mail, "plain"),
            "html": _body(mail, "html"),
            "attachments": attachments,
            "ics": next((a["text"] for a in attachments if a["type"] == "text/calendar"), None),
            "raw": self.raw,
        }


def parsed(raw: str) -> EmailMessage:
    return email.message_from_bytes(
        raw.encode("utf-8", "surrogateescape"), policy=email.policy.default
    )


def _body(mail: EmailMessage, kind: str) -> str | None:
    part = mail.get_body((kind,))
    return None if part is None else str(part.get_content())


def _is_attached(part: Any) -> bool:
    return part.get_filename() is not None or part.get_content_type() == "text/calendar"


def _attachment(part: Any) -> dict[str, Any]:
    """An attachment; its content only if it is a text (with the original line ends)."""
    content = part.get_payload(decode=True) or b""
    is_text = part.get_content_maintype() == "text"
    charset = part.get_content_charset() or "utf-8"
    return {
        "filename": part.get_filename(),
        "type": part.get_content_type(),
        "parameters": dict(part["Content-Type"].params) if part["Content-Type"] else {},
        "size": len(content),
        "text": content.decode(charset, "replace") if is_text else None,
    }
