"""A letter as a mail (RFC 5322, MIME): text, HTML and calendar entry, and the entry as a file.

Nothing is drawn by lot, not even the boundaries: a letter that must be sent again is the same to
the last byte.
"""

import re
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from notifications.domain import Letter

_POLICY = SMTP.clone(cte_type="7bit")  # no server need know 8BITMIME
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
class Envelope:
    """What a mail bears beside its letter."""

    message_id: str
    """The id of the message: the same at every transmission."""
    occasion: str
    sender: Address
    method: str
    calendar: bytes


def compose(letter: Letter, envelope: Envelope) -> bytes:
    """The mail, ready for DATA."""
    mail = EmailMessage(_POLICY)
    _address(mail, letter, envelope)
    said = {"letter": letter, "headline": headline(letter)}
    mail.set_content(_TEMPLATES.get_template("mail.txt").render(said))
    mail.make_alternative(boundary=f"alternative-{envelope.message_id}")
    mail.add_alternative(_TEMPLATES.get_template("mail.html").render(said), subtype="html")
    mail.add_alternative(
        envelope.calendar.decode(), subtype="calendar", params={"method": envelope.method}
    )
    mail.make_mixed(boundary=f"mixed-{envelope.message_id}")
    mail.add_attachment(
        envelope.calendar, maintype="application", subtype="ics", filename="appointment.ics"
    )
    return mail.as_bytes()


def headline(letter: Letter) -> str:
    """The news in a word or two."""
    if letter.kind == "booked" and not letter.confirmed:
        return "Requested"
    return _HEADLINES[letter.kind]


def _address(mail: EmailMessage, letter: Letter, envelope: Envelope) -> None:
    domain = envelope.sender.domain
    mail["From"] = Address(
        _phrase(letter.wording.sender) or envelope.sender.display_name,
        addr_spec=envelope.sender.addr_spec,
    )
    mail["To"] = Address(_phrase(letter.name), addr_spec=letter.address)
    ours = f"{headline(letter)}: {letter.title}, {letter.day}"
    mail["Subject"] = _literal(letter.wording.subject or ours)
    mail["Date"] = format_datetime(letter.written_at)
    mail["Message-ID"] = f"<{envelope.message_id}@{domain}>"
    # One conversation per appointment, although nobody has seen its first "message".
    mail["References"] = f"<{letter.appointment_id}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
    mail["X-Hoop-Appointment"] = letter.appointment_id
    mail["X-Hoop-Occasion"] = envelope.occasion


def _phrase(name: str) -> str:
    """A display name that needs no quotes: Python's `email` may lose them when it folds a long one."""
    return " ".join(_SPECIAL.sub(" ", name).split())


def _literal(text: str) -> str:
    """The text without what looks like an encoded word (RFC 2047).

    Python's `email` decodes such a word when the header is set, and an encoded line end in it then
    begins a header of the sender's choice.
    """
    return text.replace("=?", "= ?")
