"""The UID (RFC 5545) of an appointment's calendar entry: one for life, in mails as in calendars.

Google makes the UID of an event from the event's id and cannot be told another one, so its form is
the one for all: whether or not a Google calendar is connected, two entries of one appointment are
seen to be the same.
"""

_GOOGLE = "@google.com"


def first_event_id(appointment_id: str) -> str:
    """The id, in Google Calendar, of the first event of an appointment in a Google calendar."""
    return f"{appointment_id}0"


def calendar_uid(appointment_id: str) -> str:
    """The UID of the appointment's calendar entries; Google gives it to the event of the first id."""
    return first_event_id(appointment_id) + _GOOGLE
