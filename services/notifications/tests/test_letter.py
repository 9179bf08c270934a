"""What a mail and its calendar file say: times, texts, properties; whatever people have typed."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.headerregistry import Address

import icalendar
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hoop_events.base import Personal
from hoop_events.booking import Meeting
from notifications import ics, smtp
from notifications.domain import Receiver, Scene, Span, one_address, one_line, plain, web_link, when
from notifications.domain import write as write_letter

NOW = datetime(2027, 3, 1, 8, 0, 5, 123456, tzinfo=UTC)
HOOP = Address("Hoop", addr_spec="appointments@hoop.example")
FORBIDDEN = "".join(map(chr, [*range(10), 11, 12, *range(14, 32), 127, 0x85, 0x2028, 0x2029]))

spite = st.text(
    st.sampled_from(FORBIDDEN + "\r\n\"';:,\\<>&{}%=ab é漢 @."), max_size=40
) | st.sampled_from(
    [
        "x\r\nBcc: eve@example.com",
        "x\nEND:VEVENT\nBEGIN:VEVENT",
        "\u2028END:VEVENT\x00",
        "a, b@c.de",
        "=?utf-8?q?=0d=0aBcc:_eve=40example.com?=",
        "<img src=https://evil.example/pixel>",
        "漢字" * 60,
        "x" * 300,
        'x Bcc: eve@example.com END:VEVENT <script>alert(1)</script>{{7*7}}", <e@x.yz>',
        '"' + "a b" * 30 + '", eve@example.com',
    ]
)


def write(state, kind="booked", *, role="contact", to=None, scene=None, was=None, at=None):
    return write_letter(
        kind,
        role,
        state,
        to=to or Receiver("x", "Ada", "ada@example.com", "Europe/Berlin"),
        scene=scene or Scene("Talks", "Main Street", "America/New_York", "Ada", "Hugo"),
        at=at or Span(state.start_time, state.end_time),
        was=was,
        now=NOW,
    )


def mail_of(letter, sender=HOOP):
    envelope = smtp.Envelope(
        message_id="0" * 26,
        occasion="booked:x",
        sender=sender,
        method=ics.method(letter),
        calendar=ics.calendar(letter, organizer=sender),
    )
    return smtp.compose(letter, envelope)


def event_of(letter):
    [event] = icalendar.Calendar.from_ical(ics.calendar(letter, organizer=HOOP)).walk("VEVENT")
    return event


MUST = {
    "UID", "SEQUENCE", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY", "STATUS", "ORGANIZER", "ATTENDEE",
}  # fmt: skip
MAY = {"LOCATION", "URL", "DESCRIPTION"}


def test_the_calendar_entry(story):
    """Every property as it should be, times in UTC."""
    life = story()
    life.booked(Meeting(provider="zoom", state="ready", join_url="https://zoom.example/j/1?p=a"))
    event = event_of(write(life.state))

    assert set(event) == MUST | MAY
    assert str(event["UID"]) == life.state.id
    assert event["DTSTAMP"].dt == NOW.replace(microsecond=0)
    assert event["DTSTART"].dt == life.state.start_time
    assert event["DTEND"].dt == life.state.end_time
    assert event["DTSTART"].to_ical().endswith(b"Z")
    assert str(event["URL"]) == str(event["LOCATION"]) == "https://zoom.example/j/1?p=a"
    assert str(event["ORGANIZER"]) == "mailto:appointments@hoop.example"
    assert str(event["ATTENDEE"]) == "mailto:ada@example.com"
    assert str(event["STATUS"]) == "CONFIRMED"


def test_a_cancellation_names_no_link(story):
    """METHOD and STATUS say it; the link that works no more is not shown."""
    life = story()
    life.booked(Meeting(provider="zoom", state="detached", join_url="https://zoom.example/j/1"))
    letter = write(life.state, "cancelled")

    assert str(event_of(letter)["STATUS"]) == "CANCELLED"
    assert "URL" not in event_of(letter)
    assert b'method="CANCEL"' in mail_of(letter).lower().replace(b"cancel", b"CANCEL")


def test_a_request_is_tentative(story):
    """Booked and not yet confirmed by a person."""
    life = story()
    life.booked()
    state = life.state.model_copy(update={"appointment_status": "new", "confirmed": False})
    letter = write(state)

    assert str(event_of(letter)["STATUS"]) == "TENTATIVE"
    assert smtp.mail.headline(letter) == "Requested"


@pytest.mark.parametrize("title", ["Talk", "Café 漢字"])
def test_the_parts_of_the_mail(story, title):
    """Text, HTML and calendar entry are alternatives; the same entry hangs beside them as a file."""
    life = story()
    life.booked(personal=Personal(title=title))
    mail = message_from_bytes(mail_of(write(life.state)), policy=policy.default)

    kinds = [part.get_content_type() for part in mail.walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/calendar",
        "application/ics",
    ]
    calendar = next(p for p in mail.walk() if p.get_content_type() == "text/calendar")
    assert calendar["Content-Type"].params["method"] == "REQUEST"
    assert calendar["Content-Type"].params["charset"] == "utf-8"
    [attached] = mail.iter_attachments()
    assert attached.get_filename() == "appointment.ics"
    assert attached.get_content() == calendar.get_payload(decode=True)


def test_the_same_letter_is_the_same_mail(story):
    life = story()
    life.booked()
    letter = write(life.state)

    assert mail_of(letter) == mail_of(letter)


@example(("=?utf-8?q?=0d=0aBcc:_eve=40example.com?=",) * 6)
@settings(max_examples=60, deadline=None)
@given(typed=st.tuples(spite, spite, spite, spite, spite, spite))
def test_whatever_people_have_typed(story, typed):
    """One receiver, one entry, the expected headers and properties; no control character gets through."""
    title, description, address, name, other, calendar = typed
    life = story()
    life.booked()
    personal = life.state.personal.model_copy(
        update={"title": title, "description": description, "address": address}
    )
    letter = write(
        life.state.model_copy(update={"personal": personal}),
        to=Receiver("x", name, "ada@example.com"),
        scene=Scene(calendar, other, None, other, other),
    )
    mail = message_from_bytes(mail_of(letter), policy=policy.default)

    assert set(mail.keys()) == HEADERS
    assert [address.addr_spec for address in mail["To"].addresses] == ["ada@example.com"]
    assert not mail.defects
    assert MUST <= set(event_of(letter)) <= MUST | MAY
    for kind in ("plain", "html"):
        content = mail.get_body((kind,)).get_content()
        assert not set(content) & set(FORBIDDEN) - {"\t"}
    html = mail.get_body(("html",)).get_content()
    assert html.count("<img") == 0
    assert html.count("<") == html.count(">")


HEADERS = {
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
}


@pytest.mark.parametrize(
    ("start", "minutes", "zone", "said"),
    [
        ("2027-03-01T09:00Z", 30, "UTC", "Monday, 1 March 2027, 09:00 - 09:30 (UTC, UTC+00:00)"),
        (
            "2027-11-07T05:45Z",
            30,
            "America/New_York",
            "Sunday, 7 November 2027, 01:45 (UTC-04:00) - 01:15 (UTC-05:00) (America/New_York)",
        ),
        (
            "2027-03-01T18:00Z",
            30,
            "Asia/Kolkata",
            "Monday, 1 March 2027, 23:30 - Tuesday, 2 March 2027, 00:00 (Asia/Kolkata, UTC+05:30)",
        ),
    ],
)
def test_when(start, minutes, zone, said):
    """The day, the time and the zone, also over midnight and where the clocks change meanwhile."""
    at = datetime.fromisoformat(start)

    assert when(Span(at, at + timedelta(minutes=minutes)), zone) == said


def test_the_zone_of_the_reader_or_of_the_place(story):
    """The receiver's own, else the location's, else the appointment's; never one that is none."""
    life = story()
    life.booked()
    nowhere = Receiver("x", "Ada", "ada@example.com", "localtime")
    bare = life.state.model_copy(update={"time_zone": "Mars/Base"})

    assert write(life.state).zone == "Europe/Berlin"
    assert write(life.state, to=nowhere).zone == "America/New_York"
    assert write(life.state, to=nowhere, scene=Scene()).zone == "America/New_York"
    assert write(bare, to=nowhere, scene=Scene()).zone == "UTC"


@pytest.mark.parametrize(
    ("meeting", "news"),
    [
        (Meeting(), "none"),
        (Meeting(provider="zoom", state="pending"), "coming"),
        (
            Meeting(provider="zoom", state="pending", reason="awaiting_confirmation"),
            "after_confirmation",
        ),
        (Meeting(provider="zoom", state="blocked", message="Connect Zoom."), "coming"),
        (Meeting(provider="zoom", state="failed"), "unavailable"),
        (Meeting(provider="zoom", state="ready", join_url="javascript:alert(1)"), "unavailable"),
        (Meeting(provider="zoom", state="ready", join_url="https://zoom.example/j"), "here"),
    ],
)
def test_news_of_the_link(story, meeting, news):
    """What the mail says of the link; only the host is told what to do about a missing one."""
    life = story()
    life.booked(meeting)
    contact, host = write(life.state), write(life.state, role="user")

    assert contact.link == host.link == news
    assert (contact.hint, host.hint) == ("", meeting.message or "")


def test_a_title_is_always_there(story):
    """After erasure the calendar's name stands for it, or just the word."""
    life = story()
    life.booked()
    blank = life.state.model_copy(update={"personal": type(life.state.personal)()})

    assert write(blank).title == "Talks"
    assert write(blank, scene=Scene()).title == "Appointment"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ada@example.com", True),
        ("ada+hoop.x@mail.example.co.uk", True),
        ("ada@example.com, eve@example.com", False),
        ("ada@example.com\r\nBcc: eve@example.com", False),
        ("ada@example.com\n", False),
        ('"a b"@example.com', False),
        ("Ada <ada@example.com>", False),
        ("ada@[127.0.0.1]", False),
        ("ada@localhost", False),
        ("ada@exämple.com", False),
        ("ada.@example.com", False),
        (".ada@example.com", False),
        ("a..b@example.com", False),
        ("ada@-example.com", False),
        ("@example.com", False),
        ("ada", False),
        ("", False),
        ("a" * 250 + "@x.de", False),
    ],
)
def test_one_address(text, address):
    """Exactly one plain address, and nothing that might be read as two."""
    assert one_address(text) == (text if address else None)


@given(spite)
def test_clean_texts(text):
    """One line is one line; several are ended by newlines alone; neither grows."""
    assert not set(one_line(text)) & set(FORBIDDEN + "\r\n\t")
    assert not set(plain(text)) & set(FORBIDDEN + "\r") - {"\t"}
    assert len(one_line(text)) <= 200


@pytest.mark.parametrize("text", [None, "", "ftp://x.de", "https://x.de/\n", 'https://x"', "x"])
def test_no_web_link(text):
    """Only http and https, and nothing that ends an attribute or a line."""
    assert web_link(text) is None
