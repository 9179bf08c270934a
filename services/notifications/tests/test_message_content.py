"""The content of a mail and its calendar file: times, texts, properties; whatever people have typed."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.headerregistry import Address

import icalendar
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hoop_events.base import Personal
from hoop_events.booking import Meeting
from notifications.domain import ics, mime
from notifications.domain.message import (
    NotificationContext,
    Receiver,
    TimeRange,
    build_content,
    format_time,
)
from notifications.domain.text import one_line, plain, web_link

NOW = datetime(2027, 3, 1, 8, 0, 5, 123456, tzinfo=UTC)
HOOP = Address("Hoop", addr_spec="appointments@hoop.example")
FORBIDDEN = "".join(map(chr, [*range(10), 11, 12, *range(14, 32), 127, 0x85, 0x2028, 0x2029]))
OVERRIDES = "".join(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]))

hostile_text = st.text(
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


def content_of(
    state,
    kind="booked",
    *,
    role="contact",
    receiver=None,
    context=None,
    previous_time=None,
    time=None,
):
    return build_content(
        kind,
        role,
        state,
        receiver=receiver or Receiver("x", "Ada", "ada@example.com", "Europe/Berlin"),
        context=context
        or NotificationContext("Talks", "Main Street", "America/New_York", "Ada", "Hugo"),
        time=time or TimeRange(state.start_time, state.end_time),
        previous_time=previous_time,
        now=NOW,
    )


def mail_of(content, sender=HOOP):
    envelope = mime.MailEnvelope(message_id="0" * 26, occasion="booked:x", sender=sender)
    return mime.build_mail(content, envelope)


def event_of(content):
    file = ics.calendar_file(content, organizer=HOOP)
    [event] = icalendar.Calendar.from_ical(file).walk("VEVENT")
    return event


REQUIRED = {
    "UID", "SEQUENCE", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY", "STATUS", "ORGANIZER", "ATTENDEE",
}  # fmt: skip
OPTIONAL = {"LOCATION", "URL", "DESCRIPTION"}


def test_the_calendar_entry(new_appointment):
    """Every property, with times in UTC."""
    appointment = new_appointment()
    appointment.booked(
        Meeting(provider="zoom", state="ready", join_url="https://zoom.example/j/1?p=a")
    )
    event = event_of(content_of(appointment.state))

    assert set(event) == REQUIRED | OPTIONAL
    assert str(event["UID"]) == f"{appointment.state.id}0@google.com"
    assert event["DTSTAMP"].dt == NOW.replace(microsecond=0)
    assert event["DTSTART"].dt == appointment.state.start_time
    assert event["DTEND"].dt == appointment.state.end_time
    assert event["DTSTART"].to_ical().endswith(b"Z")
    assert str(event["URL"]) == str(event["LOCATION"]) == "https://zoom.example/j/1?p=a"
    assert str(event["ORGANIZER"]) == "mailto:appointments@hoop.example"
    assert str(event["ATTENDEE"]) == "mailto:ada@example.com"
    assert str(event["STATUS"]) == "CONFIRMED"


def test_a_cancellation_names_no_link(new_appointment):
    """METHOD and STATUS are those of a cancellation; the link, which works no more, is not shown."""
    appointment = new_appointment()
    appointment.booked(
        Meeting(provider="zoom", state="detached", join_url="https://zoom.example/j/1")
    )
    content = content_of(appointment.state, "cancelled")

    assert str(event_of(content)["STATUS"]) == "CANCELLED"
    assert "URL" not in event_of(content)
    assert b'method="CANCEL"' in mail_of(content).lower().replace(b"cancel", b"CANCEL")


def test_a_request_is_tentative(new_appointment):
    """Booked and not yet confirmed by a person."""
    appointment = new_appointment()
    appointment.booked()
    state = appointment.state.model_copy(update={"appointment_status": "new", "confirmed": False})
    content = content_of(state)

    assert str(event_of(content)["STATUS"]) == "TENTATIVE"
    assert mime.headline(content) == "Requested"


@pytest.mark.parametrize("title", ["Talk", "Café 漢字"])
def test_the_parts_of_the_mail(new_appointment, title):
    """Text, HTML and calendar entry are alternatives; the same entry is attached as a file."""
    appointment = new_appointment()
    appointment.booked(personal=Personal(title=title))
    mail = message_from_bytes(mail_of(content_of(appointment.state)), policy=policy.default)

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


def test_equal_contents_give_equal_mails(new_appointment):
    appointment = new_appointment()
    appointment.booked()
    content = content_of(appointment.state)

    assert mail_of(content) == mail_of(content)


@example(("=?utf-8?q?=0d=0aBcc:_eve=40example.com?=",) * 6)
@settings(max_examples=60, deadline=None)
@given(typed=st.tuples(*[hostile_text] * 6))
def test_hostile_texts(new_appointment, typed):
    """One receiver, one entry, the expected headers and properties; no control character gets through."""
    title, description, address, name, other, calendar = typed
    appointment = new_appointment()
    appointment.booked()
    personal = appointment.state.personal.model_copy(
        update={"title": title, "description": description, "address": address}
    )
    content = content_of(
        appointment.state.model_copy(update={"personal": personal}),
        receiver=Receiver("x", name, "ada@example.com"),
        context=NotificationContext(calendar, other, None, other, other),
    )
    mail = message_from_bytes(mail_of(content), policy=policy.default)

    assert set(mail.keys()) == HEADERS
    assert [address.addr_spec for address in mail["To"].addresses] == ["ada@example.com"]
    assert not mail.defects
    assert REQUIRED <= set(event_of(content)) <= REQUIRED | OPTIONAL
    for kind in ("plain", "html"):
        text = mail.get_body((kind,)).get_content()
        assert not set(text) & set(FORBIDDEN) - {"\t"}
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
    ("start", "minutes", "zone", "text"),
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
def test_format_time(start, minutes, zone, text):
    """Day, time and zone, also over midnight and over a change of the UTC offset."""
    at = datetime.fromisoformat(start)

    assert format_time(TimeRange(at, at + timedelta(minutes=minutes)), zone) == text


def test_the_zone_of_the_receiver_or_of_the_location(new_appointment):
    """The receiver's own, else the location's, else the appointment's; never an unknown name."""
    appointment = new_appointment()
    appointment.booked()
    without_zone = Receiver("x", "Ada", "ada@example.com", "localtime")
    unknown_zone = appointment.state.model_copy(update={"time_zone": "Mars/Base"})

    assert content_of(appointment.state).time_zone == "Europe/Berlin"
    assert content_of(appointment.state, receiver=without_zone).time_zone == "America/New_York"
    assert (
        content_of(
            appointment.state, receiver=without_zone, context=NotificationContext()
        ).time_zone
        == "America/New_York"
    )
    assert (
        content_of(unknown_zone, receiver=without_zone, context=NotificationContext()).time_zone
        == "UTC"
    )


@pytest.mark.parametrize(
    ("meeting", "status"),
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
def test_the_status_of_the_link(new_appointment, meeting, status):
    """What the mail says of the link; only the host gets a hint about a missing one."""
    appointment = new_appointment()
    appointment.booked(meeting)
    contact, host = content_of(appointment.state), content_of(appointment.state, role="user")

    assert contact.link_status == host.link_status == status
    assert (contact.hint, host.hint) == ("", meeting.message or "")


def test_there_is_always_a_title(new_appointment):
    """After erasure the title is the calendar's name, or just `Appointment`."""
    appointment = new_appointment()
    appointment.booked()
    erased = appointment.state.model_copy(update={"personal": type(appointment.state.personal)()})

    assert content_of(erased).title == "Talks"
    assert content_of(erased, context=NotificationContext()).title == "Appointment"


@given(hostile_text)
def test_clean_texts(text):
    """`one_line` gives one line, `plain` lines that end with a newline alone; neither is longer than its input."""
    assert not set(one_line(text + OVERRIDES)) & set(FORBIDDEN + OVERRIDES + "\r\n\t")
    assert not set(plain(text)) & set(FORBIDDEN + "\r") - {"\t"}
    assert len(one_line(text)) <= 200


@pytest.mark.parametrize("text", [None, "", "ftp://x.de", "https://x.de/\n", 'https://x"', "x"])
def test_no_web_link(text):
    """Only http and https, and no character that ends an attribute or a line."""
    assert web_link(text) is None
