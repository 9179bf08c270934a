"""The calendar file that goes with a mail: one appointment, as a meeting invitation or its cancellation.

RFC 5545 for the format, RFC 5546 and 6047 for the meaning in mail. The UID is the appointment's id
for life, so that every later mail finds the entry of the first; SEQUENCE is the appointment's own
count of announcements, which grows with each of them: a cancellation, and a confirmation after it,
always win over what came before, which a count of moves alone would not give.
"""

from email.headerregistry import Address

from icalendar import Calendar, Event, vCalAddress, vUri

from notifications.domain import Letter

PRODUCT = "-//Hoop//Appointments//EN"


def method(letter: Letter) -> str:
    """What the calendar program is to do with it."""
    return "REQUEST" if letter.stands else "CANCEL"


def calendar(letter: Letter, *, organizer: Address) -> bytes:
    """The file, in UTF-8; DTSTAMP is the time the letter was written."""
    whole = Calendar()
    whole.add("prodid", PRODUCT)
    whole.add("version", "2.0")
    whole.add("calscale", "GREGORIAN")
    whole.add("method", method(letter))
    whole.add_component(_event(letter, organizer))
    return bytes(whole.to_ical())


def _event(letter: Letter, organizer: Address) -> Event:
    event = Event()
    event.add("uid", letter.appointment_id)
    event.add("sequence", letter.sequence)
    event.add("dtstamp", letter.written_at.replace(microsecond=0))
    event.add("dtstart", letter.at.start)
    event.add("dtend", letter.at.end)
    event.add("summary", letter.title)
    event.add("status", _status(letter))
    event.add("organizer", _person(organizer.addr_spec, organizer.display_name))
    event.add("attendee", _attendee(letter))
    if where := letter.join_url or letter.place or letter.location:
        event.add("location", where)
    if letter.join_url:
        event.add("url", vUri(letter.join_url))
    if letter.description:
        event.add("description", letter.description)
    return event


def _status(letter: Letter) -> str:
    if not letter.stands:
        return "CANCELLED"
    return "CONFIRMED" if letter.confirmed else "TENTATIVE"


def _person(address: str, name: str) -> vCalAddress:
    person = vCalAddress(f"mailto:{address}")
    if name:
        # RFC 5545, section 3.2: a parameter cannot hold a double quote.
        person.params["CN"] = name.replace('"', "'")
    return person


def _attendee(letter: Letter) -> vCalAddress:
    """The receiver alone: nobody learns from a mail who else is invited."""
    attendee = _person(letter.address, letter.name)
    attendee.params["ROLE"] = "REQ-PARTICIPANT"
    attendee.params["PARTSTAT"] = "ACCEPTED"
    attendee.params["RSVP"] = "FALSE"
    return attendee
