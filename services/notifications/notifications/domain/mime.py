"""A message as a mail (RFC 5322, MIME): text, HTML and calendar entry, and the entry as an attachment.

The bytes are written once, by the rules, and never parsed: Python's `EmailMessage` parses each header
when it is set and again when it is written, which takes ten times as long (decision 15). Nothing is
random, not even the boundaries: a message that is sent again is the same to the last byte.
"""

import re
from base64 import encodebytes
from binascii import b2a_qp
from collections.abc import Sequence
from dataclasses import dataclass
from email.header import Header
from email.headerregistry import Address
from email.utils import format_datetime
from unicodedata import category

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from hoop_platform.mail_addresses import is_ascii_address
from notifications.domain import ics
from notifications.domain.message import MessageContent
from notifications.domain.news import default_subject, first_sentence, headline
from notifications.domain.text import has_controls

_TEMPLATES = Environment(
    loader=PackageLoader("notifications"),
    autoescape=select_autoescape(enabled_extensions=("html",), default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEXT, _HTML = map(_TEMPLATES.get_template, ("mail.txt", "mail.html"))
_JOINERS = "\u200c\u200d"
MAX_LINE = 78  # characters, without the line end: RFC 5322, section 2.1.1
_WORD = re.compile(r"(?!.*=\?)[!-~]{1,60}")
"""What may stand in a subject as it is; `=?` would begin an encoded word."""
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/^_`{|}~-]{1,60}")
"""What may stand in a display name as it is."""


@dataclass(frozen=True)
class MailEnvelope:
    """What a mail has beside its content."""

    message_id: str
    """The id of the message: the same at every transmission."""
    occasion: str
    sender: Address


def build_mail(message: MessageContent, envelope: MailEnvelope) -> bytes:
    """The mail, ready for the SMTP command DATA: ASCII, with CRLF, its dots not doubled.

    Raises `ValueError` for a text or an address that might add a header or a receiver. None comes
    from `build_content`, which cleans all texts, or past `next_action`, which knows the address.
    """
    if not is_ascii_address(message.address):
        raise ValueError("the receiver is not exactly one plain address")
    calendar = ics.calendar_file(message, organizer=envelope.sender)
    variables = variables_of(message)
    alternatives = [
        _text_part("plain", _lines(_TEXT.render(variables))),
        _text_part("html", _lines(_HTML.render(variables))),
        _text_part("calendar", calendar, f'; method="{ics.method(message)}"'),
    ]
    body = [_multipart("alternative", envelope, alternatives), _attachment(calendar)]
    return _headers(message, envelope) + _multipart("mixed", envelope, body)


def variables_of(message: MessageContent) -> dict[str, object]:
    """What the templates show."""
    return {
        "message": message,
        "headline": headline(message),
        "first_sentence": first_sentence(message),
    }


def _headers(message: MessageContent, envelope: MailEnvelope) -> bytes:
    domain = envelope.sender.domain
    sender = _phrase(message.wording.sender) or envelope.sender.display_name
    subject = message.wording.subject or default_subject(message)
    return b"".join(
        [
            _header("From", *_mailbox("From", sender, envelope.sender.addr_spec)),
            _header("To", *_mailbox("To", _phrase(message.name), message.address)),
            _header("Subject", *_words("Subject", subject)),
            _header("Date", format_datetime(message.written_at)),
            _header("Message-ID", f"<{envelope.message_id}@{domain}>"),
            # One conversation per appointment or series, although no mail with this first id exists.
            _header("References", f"<{message.conversation_id}@{domain}>"),
            _header("Auto-Submitted", "auto-generated"),  # RFC 3834: no out-of-office replies
            _header("X-Hoop-Appointment", message.appointment_id),
            _header("X-Hoop-Series", message.series_id) if message.series_id else b"",
            _header("X-Hoop-Occasion", envelope.occasion),
            _header("MIME-Version", "1.0"),
        ]
    )


def _mailbox(header: str, name: str, address: str) -> Sequence[str]:
    return [*_words(header, name, plain=_ATOM), f"<{address}>"] if name else [address]


def _phrase(name: str) -> str:
    """A display name: letters, marks, digits, punctuation and signs, emoji among them.

    Without what makes an address of a part of it, whatever a mail program does with the name, and
    without invisible characters, but those that join letters and emoji.
    """
    shown = (
        c if c in _JOINERS or (category(c)[0] in "LMNPS" and c not in "<>@") else " " for c in name
    )
    return " ".join("".join(shown).split())


def _words(header: str, text: str, *, plain: re.Pattern[str] = _WORD) -> Sequence[str]:
    """The words of a text as they are, if all are `plain`; else as encoded words (RFC 2047)."""
    if has_controls(text):
        raise ValueError(f"{header}: the text holds a line end or another control character")
    words = text.split(" ")
    if all(map(plain.fullmatch, words)):
        return words
    return Header(text, "utf-8", maxlinelen=75, header_name=header).encode().split()


def _header(name: str, *words: str) -> bytes:
    """One header, folded between words. Raises `ValueError` for what is not printable ASCII."""
    lines = [f"{name}: {words[0]}"]
    for word in words[1:]:
        if len(lines[-1]) + len(word) < MAX_LINE:
            lines[-1] += f" {word}"
        else:
            lines.append(f" {word}")
    if not all(line.isascii() and line.isprintable() for line in lines):
        raise ValueError(f"{name}: a header is printable ASCII")
    return "".join(f"{line}\r\n" for line in lines).encode()


def _lines(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def _text_part(subtype: str, text: bytes, parameters: str = "") -> bytes:
    """A text as it is, if it is ASCII with short lines; else in the shorter encoding (RFC 2045).

    Servers without 8BITMIME pass it on.
    """
    content_type = f'text/{subtype}; charset="utf-8"{parameters}'
    if text.isascii() and b"=_" not in text and max(map(len, text.split(b"\r\n"))) <= MAX_LINE:
        return _part(content_type, "7bit", text)
    quoted, base64 = b2a_qp(text), _base64(text)
    if len(quoted) <= len(base64):
        return _part(content_type, "quoted-printable", quoted)
    return _part(content_type, "base64", base64)


def _attachment(calendar: bytes) -> bytes:
    disposition = _header("Content-Disposition", "attachment;", 'filename="appointment.ics"')
    return disposition + _part("application/ics", "base64", _base64(calendar))


def _base64(content: bytes) -> bytes:
    return encodebytes(content).replace(b"\n", b"\r\n")


def _part(content_type: str, encoding: str, body: bytes) -> bytes:
    headers = _header("Content-Type", content_type) + _header("Content-Transfer-Encoding", encoding)
    return headers + b"\r\n" + body


def _multipart(subtype: str, envelope: MailEnvelope, parts: Sequence[bytes]) -> bytes:
    """Parts between boundaries that stand in none of them: no part holds `=_`, whatever is typed."""
    boundary = f"=_{subtype}-{envelope.message_id}"
    delimiter = f"\r\n--{boundary}".encode()
    content_type = _header("Content-Type", f"multipart/{subtype};", f'boundary="{boundary}"')
    return content_type + b"".join([delimiter + b"\r\n" + p for p in parts]) + delimiter + b"--\r\n"
