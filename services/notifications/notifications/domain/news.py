"""What a message has to tell, in words: its headline, its first sentence, its default subject."""

from collections.abc import Mapping

from notifications.domain.message import Kind, MessageContent

_HEADLINES: Mapping[Kind, str] = {
    "booked": "Confirmed",
    "confirmed": "Confirmed",
    "rescheduled": "Moved",
    "updated": "Changed",
    "declined": "Declined",
    "cancelled": "Cancelled",
    "link": "Join link",
}
_ONE: Mapping[Kind, str] = {
    "booked": "this appointment is confirmed.",
    "confirmed": "this appointment is confirmed.",
    "rescheduled": "this appointment has been changed.",
    "updated": "the details of this appointment have changed.",
    "declined": "this request has been declined; the appointment does not take place.",
    "cancelled": "this appointment has been cancelled.",
    "link": "here is the link to join your appointment.",
}
_SERIES: Mapping[Kind, str] = {
    "booked": "the appointments of this series are confirmed.",
    "confirmed": "the appointments of this series are confirmed.",
    "rescheduled": "appointments of this series have been changed.",
    "updated": "appointments of this series have changed.",
    "declined": "the request for these appointments has been declined; they do not take place.",
    "cancelled": "appointments of this series have been cancelled.",
    "link": "here are the links to join your appointments.",
}


def headline(message: MessageContent) -> str:
    """The news in a word or two."""
    if message.kind == "booked" and not message.confirmed:
        return "Requested"
    return _HEADLINES[message.kind]


def first_sentence(message: MessageContent) -> str:
    """The news in a sentence that goes on after a greeting."""
    if message.kind == "booked" and not message.confirmed:
        if message.occurrences:
            return (
                "the appointments of this series have been requested; they wait for confirmation."
            )
        return "this appointment has been requested; it waits for confirmation."
    if message.occurrences:
        return _SERIES[message.kind]
    if message.has_new_host:
        return "this appointment now takes place without you."
    if message.kind == "updated" and message.has_new_venue:
        return "this appointment now takes place elsewhere."
    return _ONE[message.kind]


def default_subject(message: MessageContent) -> str:
    """The headline, the title, and the day, or how many days of a series it is about."""
    news = sum(each.is_news for each in message.occurrences)
    day = f"{news} dates from {message.day}" if news > 1 else message.day
    return f"{headline(message)}: {message.title}, {day}"
