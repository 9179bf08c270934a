"""The calendar file of a mail: one appointment, as a meeting invitation or its cancellation.

RFC 5545 gives the format, RFC 5546 and 6047 the meaning in mail. UID is the appointment's id for
life, so that every later mail finds the entry of the first. SEQUENCE is the sequence of the
appointment's event, which grows with each announcement: a cancellation, and a confirmation after a
cancellation, always replace what came before. A count of reschedulings would not give that.
"""

from email.headerregistry import Address

from icalendar import Calendar, Event, vCalAddress, vUri

from notifications.domain.message import MessageContent

PRODUCT = "-//Hoop//Appointments//EN"


def method(message: MessageContent) -> str:
    """The iTIP method: what the receiver's calendar program does with the file."""
    return "REQUEST" if message.is_on else "CANCEL"


def calendar_file(message: MessageContent, *, organizer: Address) -> bytes:
    """The file, in UTF-8; DTSTAMP is the time at which the content was built."""
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", method(message))
    calendar.add_component(_event(message, organizer))
    return bytes(calendar.to_ical())


def _event(message: MessageContent, organizer: Address) -> Event:
    event = Event()
    event.add("uid", message.appointment_id)
    event.add("sequence", message.sequence)
    event.add("dtstamp", message.written_at.replace(microsecond=0))
    event.add("dtstart", message.time.start)
    event.add("dtend", message.time.end)
    event.add("summary", message.title)
    event.add("status", _status(message))
    event.add("organizer", _cal_address(organizer.addr_spec, organizer.display_name))
    event.add("attendee", _attendee(message))
    if location := message.join_url or message.venue or message.location:
        event.add("location", location)
    if message.join_url:
        event.add("url", vUri(message.join_url))
    if message.description:
        event.add("description", message.description)
    return event


def _status(message: MessageContent) -> str:
    if not message.is_on:
        return "CANCELLED"
    return "CONFIRMED" if message.confirmed else "TENTATIVE"


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
