"""A message as a mail (RFC 5322, MIME): text, HTML and calendar entry, and the entry as an attachment.

Nothing is random, not even the boundaries: a message that is sent again is the same to the last byte.
"""

import re
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from notifications.domain import ics
from notifications.domain.message import MessageContent

_POLICY = SMTP.clone(cte_type="7bit")  # for servers without 8BITMIME
_TEMPLATES = Environment(
    loader=PackageLoader("notifications"),
    autoescape=select_autoescape(enabled_extensions=("html",), default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_SPECIAL = re.compile(r"[^\w '-]")
_HEADLINES = {
    "booked": "Confirmed",
    "rescheduled": "Moved",
    "cancelled": "Cancelled",
    "link": "Join link",
}


@dataclass(frozen=True)
class MailEnvelope:
    """What a mail has beside its content."""

    message_id: str
    """The id of the message: the same at every transmission."""
    occasion: str
    sender: Address


def build_mail(message: MessageContent, envelope: MailEnvelope) -> bytes:
    """The mail, ready for the SMTP command DATA."""
    calendar = ics.calendar_file(message, organizer=envelope.sender)
    mail = EmailMessage(_POLICY)
    _add_headers(mail, message, envelope)
    variables = {"message": message, "headline": headline(message)}
    mail.set_content(_TEMPLATES.get_template("mail.txt").render(variables))
    mail.make_alternative(boundary=f"alternative-{envelope.message_id}")
    mail.add_alternative(_TEMPLATES.get_template("mail.html").render(variables), subtype="html")
    mail.add_alternative(
        calendar.decode(), subtype="calendar", params={"method": ics.method(message)}
    )
    mail.make_mixed(boundary=f"mixed-{envelope.message_id}")
    mail.add_attachment(calendar, maintype="application", subtype="ics", filename="appointment.ics")
    return mail.as_bytes()


def headline(message: MessageContent) -> str:
    """The news in a word or two."""
    if message.kind == "booked" and not message.confirmed:
        return "Requested"
    return _HEADLINES[message.kind]


def _add_headers(mail: EmailMessage, message: MessageContent, envelope: MailEnvelope) -> None:
    domain = envelope.sender.domain
    mail["From"] = Address(
        _phrase(message.wording.sender) or envelope.sender.display_name,
        addr_spec=envelope.sender.addr_spec,
    )
    mail["To"] = Address(_phrase(message.name), addr_spec=message.address)
    default_subject = f"{headline(message)}: {message.title}, {message.day}"
    mail["Subject"] = _literal(message.wording.subject or default_subject)
    mail["Date"] = format_datetime(message.written_at)
    mail["Message-ID"] = f"<{envelope.message_id}@{domain}>"
    # One conversation per appointment, although no mail with this first id exists.
    mail["References"] = f"<{message.appointment_id}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: asks for no out-of-office replies
    mail["X-Hoop-Appointment"] = message.appointment_id
    mail["X-Hoop-Occasion"] = envelope.occasion


def _phrase(name: str) -> str:
    """A display name that needs no quotes: Python's `email` may lose them when it folds a long name."""
    return " ".join(_SPECIAL.sub(" ", name).split())


def _literal(text: str) -> str:
    """The text without what looks like an encoded word (RFC 2047).

    Python's `email` decodes such a word when the header is set, and an encoded line end in the word
    would then begin a header of the sender's choice.
    """
    return text.replace("=?", "= ?")
