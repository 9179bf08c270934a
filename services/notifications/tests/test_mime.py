"""The bytes of a mail: what a mail program shows is what was meant, whatever people have typed."""

import cProfile
import pstats
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from notifications.domain import ics, mime
from notifications.domain.message import (
    NotificationContext,
    Receiver,
    TimeRange,
    Wording,
    build_content,
)
from notifications.providers import smtp
from simulators.mail import simulator

NOW = datetime(2027, 3, 1, 8, 0, 5, tzinfo=UTC)
ID = "01HZ0000000000000000000000"
HOOP = Address("Hoop, Inc.", addr_spec="appointments@hoop.example")
ENVELOPE = mime.MailEnvelope(message_id=ID, occasion="booked:x", sender=HOOP)

typed_text = (
    st.text(max_size=90)
    | st.text(st.sampled_from("\x00\r\n\t\u2028\"';:,\\<>(){}%=?_.-ab é漢 @"), max_size=60)
    | st.sampled_from(
        [
            "x\r\nBcc: eve@example.com\r\n\r\nbody",
            "=?utf-8?q?=0d=0aBcc:_eve=40example.com?=",
            f"\n--=_mixed-{ID}--\n--=_alternative-{ID}\nContent-Type: text/html\n\n<b>",
            "漢字 " * 40,
            "नमस्ते, ภาษาไทย, e\u0301",
            "x" * 300,
            "two  spaces\t and a tab",
            ".\n..\nFrom me\n.",
        ]
    )
)


def content_of(new_appointment, title="Talk", description="", name="Ada", *, wording=None):
    appointment = new_appointment()
    appointment.booked()
    personal = appointment.state.personal.model_copy(
        update={"title": title, "description": description}
    )
    state = appointment.state.model_copy(update={"personal": personal})
    return build_content(
        "booked",
        "contact",
        state,
        receiver=Receiver("x", name, "ada@example.com", "Europe/Berlin"),
        context=NotificationContext("Talks", "Main Street", None, name, "Hugo"),
        time=TimeRange(state.start_time, state.end_time),
        previous_time=None,
        now=NOW,
        wording=wording or Wording(),
    )


def meant_subject(content):
    default = f"{mime.headline(content)}: {content.title}, {content.day}"
    return content.wording.subject or default


def with_email_message(content, envelope):
    """The same mail composed by Python's `EmailMessage`.

    It is slow, sends what is in an encoded word that was typed (hence `= ?`), and loses spaces where
    it folds a long name or subject that is not ASCII (hence the comparison without spaces).
    """
    calendar, sender = ics.calendar_file(content, organizer=envelope.sender), envelope.sender
    mail = EmailMessage(policy.SMTP.clone(cte_type="7bit"))
    shown = mime._phrase(content.wording.sender) or sender.display_name
    mail["From"] = Address(shown.replace("=?", "= ?"), addr_spec=sender.addr_spec)
    name = mime._phrase(content.name).replace("=?", "= ?")
    mail["To"] = Address(name, addr_spec=content.address)
    mail["Subject"] = meant_subject(content).replace("=?", "= ?")
    mail["Date"] = format_datetime(content.written_at)
    mail["Message-ID"] = f"<{envelope.message_id}@{sender.domain}>"
    mail["References"] = f"<{content.appointment_id}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Hoop-Appointment"] = content.appointment_id
    mail["X-Hoop-Occasion"] = envelope.occasion
    variables = mime.variables_of(content)
    mail.set_content(mime._TEXT.render(variables))
    mail.make_alternative(boundary=f"alternative-{envelope.message_id}")
    mail.add_alternative(mime._HTML.render(variables), subtype="html")
    method = {"method": ics.method(content)}
    mail.add_alternative(calendar.decode(), subtype="calendar", params=method)
    mail.make_mixed(boundary=f"mixed-{envelope.message_id}")
    mail.add_attachment(calendar, maintype="application", subtype="ics", filename="appointment.ics")
    return mail.as_bytes()


def shown(raw):
    """What a mail program shows, spaces in names and subject aside: headers, people, parts."""
    mail = message_from_bytes(raw, policy=policy.default)
    assert not [part.defects for part in mail.walk() if part.defects]
    headers = {name: str(value) for name, value in mail.items() if name != "Content-Type"}
    headers["Subject"] = headers["Subject"].replace(" ", "")
    people = []
    for header in ("From", "To"):
        del headers[header]
        name, address = mailbox(raw, header)
        people.append((name.replace(" ", ""), address))
    return headers, people, [_part(part) for part in mail.walk()]


def mailbox(raw, header):
    """Display name and address of the only person in a header.

    Read by the older of Python's two parsers: the newer puts spaces between adjacent encoded words
    of a name, which RFC 2047, section 6.2, forbids.
    """
    [(name, address)] = getaddresses([message_from_bytes(raw)[header]])
    return str(make_header(decode_header(name))), address


def _part(part):
    parameters = dict(part["Content-Type"].params)
    parameters.pop("boundary", None)
    content = None if part.is_multipart() else read(part)
    kind = part.get_content_type()
    return kind, parameters, part.get_content_disposition(), part.get_filename(), content


def read(part):
    content = part.get_content()
    return content.replace("\r\n", "\n") if isinstance(content, str) else content


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(typed=st.tuples(*[typed_text] * 6))
def test_shown_as_if_composed_by_email_message(new_appointment, typed):
    """Python's own composer is the oracle: headers, names, parts, parameters and contents are the same."""
    content = content_of(new_appointment, *typed[:3], wording=Wording(*typed[3:]))

    assert shown(mime.build_mail(content, ENVELOPE)) == shown(with_email_message(content, ENVELOPE))


@example(("=?utf-8?q?=0d=0aBcc:_eve=40example.com?=",) * 4)
@example((f"a\n--=_mixed-{ID}--\n--=_alternative-{ID}--\n",) * 4)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(typed=st.tuples(*[typed_text] * 4))
def test_what_was_typed_is_what_is_read(new_appointment, typed):
    """Exactly our headers; subject, names and texts as they were meant; six parts."""
    title, description, name, sender = typed
    content = content_of(new_appointment, title, description, name, wording=Wording(sender=sender))
    raw = mime.build_mail(content, ENVELOPE)
    mail = message_from_bytes(raw, policy=policy.default)
    variables = mime.variables_of(content)

    assert mail.keys() == HEADERS
    assert mail["Subject"] == meant_subject(content)
    shown_sender = mime._phrase(content.wording.sender) or HOOP.display_name
    assert mailbox(raw, "To") == (mime._phrase(content.name), "ada@example.com")
    assert mailbox(raw, "From") == (shown_sender, HOOP.addr_spec)
    assert [len(mail[header].addresses) for header in ("From", "To")] == [1, 1]
    assert read(mail.get_body(("plain",))) == mime._TEXT.render(variables)
    assert read(mail.get_body(("html",))) == mime._HTML.render(variables)
    assert len(list(mail.walk())) == 6


HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "References",
    "Auto-Submitted",
    "X-Hoop-Appointment",
    "X-Hoop-Occasion",
    "MIME-Version",
    "Content-Type",
]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(typed=st.tuples(*[typed_text] * 3))
def test_every_mail_server_can_pass_it_on(new_appointment, typed):
    """Printable ASCII and tabs, in lines of at most 78 characters that end with CRLF (RFC 5322)."""
    raw = mime.build_mail(content_of(new_appointment, *typed), ENVELOPE)

    assert raw.endswith(b"\r\n")
    lines = raw.split(b"\r\n")
    assert max(map(len, lines)) <= 78
    assert all(re.fullmatch(rb"[\t -~]*", line) for line in lines)


def test_a_folded_header_never_begins_with_an_empty_line(new_appointment):
    """Some mail programs end the headers at a line that holds nothing but spaces."""
    words = "  ".join("漢字" if n % 9 == 0 else "word" for n in range(40))
    raw = mime.build_mail(content_of(new_appointment, wording=Wording(subject=words)), ENVELOPE)
    head, _, _ = raw.partition(b"\r\n\r\n")

    assert all(line.strip() for line in head.split(b"\r\n"))
    assert all(line.partition(b":")[2].strip() for line in head.split(b"\r\n") if line[:1] != b" ")


@pytest.mark.parametrize("typed", ["x\r\nBcc: eve@example.com", "é\nx", "\x00", "\u2028"])
def test_a_text_that_nobody_has_cleaned_is_refused(new_appointment, typed):
    """Wherever it would stand in a header: a defect of ours stays without an effect."""
    content = content_of(new_appointment)
    wrong = [
        (replace(content, wording=Wording(subject=typed)), ENVELOPE),
        (content, replace(ENVELOPE, occasion=typed)),
        (content, replace(ENVELOPE, message_id=typed)),
        (replace(content, address=f"ada@example.com{typed}"), ENVELOPE),
    ]
    for unclean, envelope in wrong:
        with pytest.raises(ValueError, match=r"header|control|plain address"):
            mime.build_mail(unclean, envelope)


@pytest.mark.parametrize(
    "address", ["a@b.de, eve@example.com", "a@b.de>", "jörg@b.de", "a@bücher.de"]
)
def test_an_address_that_is_not_one_plain_address_is_refused(new_appointment, address):
    """Also beyond ASCII: we do not ask servers for SMTPUTF8."""
    content = replace(content_of(new_appointment), address=address)

    with pytest.raises(ValueError, match="not exactly one plain address"):
        mime.build_mail(content, ENVELOPE)


@pytest.mark.parametrize(
    ("name", "display_name"),
    [
        ("नमस्ते", "नमस्ते"),
        ("Zoe\u0308 O'Brien-Smith", "Zoe\u0308 O'Brien-Smith"),
        ("Ada <eve@example.com>, Bob", "Ada eve example.com , Bob"),
        ("Dr. Ada Lovelace, Jr. (she/her)", "Dr. Ada Lovelace, Jr. (she/her)"),
        ('Ada "Countess" \\ Co. & Sons: #1!', 'Ada "Countess" \\ Co. & Sons: #1!'),
        ("Ada 👩🏽‍🚀 ❤️", "Ada 👩🏽‍🚀 ❤️"),
        ("\u202eada", "ada"),
        ("漢字" * 40, "漢字" * 40),
        ("", ""),
    ],
)
def test_display_names(new_appointment, name, display_name):
    """Letters of all scripts with their marks, punctuation, emoji; nothing that reads as an address."""
    raw = mime.build_mail(content_of(new_appointment, name=name), ENVELOPE)

    assert mailbox(raw, "To") == (display_name, "ada@example.com")


def test_the_cost_of_a_mail(new_appointment):
    """No header is parsed. Prints the processor time beside that of `EmailMessage`: `-rP` shows it."""
    content = content_of(new_appointment, "Café", "Bring tea.\nAnd biscuits.", "Ada Lövelace")
    for build in (with_email_message, mime.build_mail):
        seconds, entered = cost(build, content)
        print(f"{build.__name__}: {seconds * 1e6:.0f} µs")  # noqa: T201 -- for people

    assert not {"_header_value_parser.py", "feedparser.py"} & entered


def cost(build, content, mails=100):
    """Processor time of one mail, and the files whose functions were entered."""
    build(content, ENVELOPE)
    begun = time.process_time()
    for _ in range(mails):
        build(content, ENVELOPE)
    seconds = (time.process_time() - begun) / mails
    profile = cProfile.Profile()
    profile.runcall(build, content, ENVELOPE)
    return seconds, {Path(file).name for file, _, _ in pstats.Stats(profile).stats}


async def test_lines_of_dots_arrive(new_appointment):
    """The SMTP client doubles a dot at the beginning of a line, the server takes it away again."""
    content = content_of(new_appointment, description=".\n..\n.hidden\nFrom me\n.")
    raw = mime.build_mail(content, ENVELOPE)
    async with simulator.serve() as sink:
        host, _, port = sink.smtp.partition(":")
        password = SecretStr("")
        server = smtp.MailServer(host, int(port), "none", "", password, "hoop.example", 5, 5)
        await server.deliver(raw, sender=HOOP.addr_spec, to=content.address)
        server.close()
        [arrived] = sink.messages

    assert shown(arrived.raw.encode()) == shown(raw)
    assert "\n.\n..\n.hidden\nFrom me\n." in shown(raw)[2][2][4]
