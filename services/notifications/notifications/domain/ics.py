"""The calendar file of a mail: an appointment as an invitation or its cancellation, a series as a list.

RFC 5545 gives the format, RFC 5546 and 6047 the meaning in mail. UID is made from the appointment's
id for life, so that every later mail finds the entry of the first, and is the one that Google gives
to our event: whoever has both sees one entry. Each occurrence of a series is an appointment that can
be moved and joined by itself, with a UID of its own; an invitation must not hold several UIDs, so
the file of a series publishes its entries (decision 22). SEQUENCE is the sequence of the
appointment's event, which grows with each announcement: a cancellation, and a confirmation after a
cancellation, always replace what came before. A count of reschedulings would not give that.
"""

from email.headerregistry import Address

from icalendar import Calendar, Event, vCalAddress, vUri

from hoop_events.calendar_uid import calendar_uid
from notifications.domain.message import MessageContent, OccurrenceContent

PRODUCT = "-//Hoop//Appointments//EN"


def method(message: MessageContent) -> str:
    """The iTIP method: what the receiver's calendar program does with the file."""
    if message.occurrences:
        return "PUBLISH"
    return "REQUEST" if message.is_on else "CANCEL"


def calendar_file(message: MessageContent, *, organizer: Address) -> bytes:
    """The file, in UTF-8; DTSTAMP is the time at which the content was built."""
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", method(message))
    for each in message.occurrences or (_only_occurrence(message),):
        event = _event(message, each, organizer)
        if not message.occurrences:
            event.add("attendee", _attendee(message))  # RFC 5546, section 3.2.1: none in PUBLISH
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def _only_occurrence(message: MessageContent) -> OccurrenceContent:
    return OccurrenceContent(
        appointment_id=message.appointment_id,
        sequence=message.sequence,
        time=message.time,
        previous_time=message.previous_time,
        join_url=message.join_url,
        link_status=message.link_status,
        is_on=message.is_on,
        confirmed=message.confirmed,
        is_news=True,
    )


def _event(message: MessageContent, each: OccurrenceContent, organizer: Address) -> Event:
    event = Event()
    event.add("uid", calendar_uid(each.appointment_id))
    event.add("sequence", each.sequence)
    event.add("dtstamp", message.written_at.replace(microsecond=0))
    event.add("dtstart", each.time.start)
    event.add("dtend", each.time.end)
    event.add("summary", message.title)
    event.add("status", _status(each))
    event.add("organizer", _cal_address(organizer.addr_spec, organizer.display_name))
    if location := each.join_url or message.venue or message.location:
        event.add("location", location)
    if each.join_url:
        event.add("url", vUri(each.join_url))
    if message.description:
        event.add("description", message.description)
    return event


def _status(each: OccurrenceContent) -> str:
    if not each.is_on:
        return "CANCELLED"
    return "CONFIRMED" if each.confirmed else "TENTATIVE"


def _cal_address(address: str, name: str) -> vCalAddress:
    cal_address = vCalAddress(f"mailto:{address}")
    if name:
        # RFC 5545, section 3.2: a parameter cannot hold a double quote.
        cal_address.params["CN"] = name.replace('"', "'")
    return cal_address


def _attendee(message: MessageContent) -> vCalAddress:
    """The receiver alone: a mail does not show who else is invited."""
    attendee = _cal_address(message.address, message.name)
    attendee.params["ROLE"] = "REQ-PARTICIPANT"
    attendee.params["PARTSTAT"] = "ACCEPTED"
    attendee.params["RSVP"] = "FALSE"
    return attendee
