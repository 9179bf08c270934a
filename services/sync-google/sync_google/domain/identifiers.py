"""Kinds, subjects and event ids: how desired states and Google events refer to an appointment."""

from hoop_events.calendar_uid import first_event_id

EVENT_KIND = "google-event"
"""The kind of the desired state of one appointment's event in one connected calendar."""
CONNECTION_KIND = "google-connection"
"""The kind of the desired state of a connection: filled with appointments, or ended."""
FEED_KIND = "google-feed"
"""The kind of the desired state of a connected Google calendar: its busy times are known here."""

_DIGITS = "0123456789abcdefghijklmnopqrstuv"


def event_subject(appointment_id: str, connection_id: str) -> str:
    """The subject of a desired state: one appointment in one connected calendar."""
    return f"{appointment_id}.{connection_id}"


def split_subject(subject: str) -> tuple[str, str]:
    """The appointment id and the connection id of a subject."""
    appointment_id, _, connection_id = subject.partition(".")
    return appointment_id, connection_id


def event_id(subject: str, generation: int, *, has_first_id: bool = False) -> str:
    """The id that we give to the event in Google, which refuses a second event of the same id.

    `has_first_id`: the connection is the one that may use the appointment's first id in this Google
    calendar, which gives the event the UID of the appointment's mails; its first event gets it.

    Google allows `0-9a-v` and never frees the id of a deleted event. The event that replaces a
    deleted one therefore has the next generation (in base 32) at the end of its id. The connection
    is part of the id: two connections may lead to the same Google calendar.
    """
    appointment_id, connection_id = split_subject(subject)
    if has_first_id and generation == 1:
        return first_event_id(appointment_id)
    digits = ""
    while generation:
        generation, digit = divmod(generation, 32)
        digits = _DIGITS[digit] + digits
    return appointment_id + connection_id + (digits or "0")
