"""The history of a conversation: its messages are external objects, and what has ended counts as notified."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from hoop_platform.reconcile.observed_state import ExternalObject
from notifications.domain.threads import (
    NotifiedState,
    Occasion,
    Status,
    Thread,
    ThreadMessage,
)

NOTIFIED = TypeAdapter(NotifiedState)
_NOTIFIED_BY_APPOINTMENT = TypeAdapter(dict[str, NotifiedState])


def message_data(
    occasion: Occasion, notified: Mapping[str, NotifiedState], *, address: str | None = None
) -> dict[str, Any]:
    """What an external object says of its message."""
    return {
        "kind": occasion.kind,
        "occasion": occasion.name,
        "notified": _NOTIFIED_BY_APPOINTMENT.dump_python(dict(notified), mode="json"),
        **({"address": address} if address is not None else {}),
    }


def message_of(external: ExternalObject) -> ThreadMessage:
    """The message that this object is."""
    data = external.data
    return ThreadMessage(
        number=external.generation,
        occasion=Occasion(data["kind"], data["occasion"]),
        status=_status(external),
        notified=_NOTIFIED_BY_APPOINTMENT.validate_python(data["notified"]),
        address=data.get("address"),
        reason=data.get("rejected") or data.get("uncertain"),
        in_doubt=external.looked_up,
    )


def _status(external: ExternalObject) -> Status:
    data = external.data
    if "sent" in data:
        return "switched_off" if "switched_off" in data else "sent"
    if external.state == "intended":
        return "waiting" if "switched_off" in data else "sending"
    if "rejected" in data:
        return "failed"
    return "doubtful" if "uncertain" in data else "waiting"


def with_history(thread: Thread, objects: Sequence[ExternalObject], *, counted: int) -> Thread:
    """The thread with its messages; those after the number `counted` count as notified by now."""
    for message in map(message_of, objects):
        if message.number > counted:
            thread = _after(thread, message)
        thread = replace(thread, messages=(*thread.messages, message))
    return thread


def _after(thread: Thread, message: ThreadMessage) -> Thread:
    """The thread after a message that has ended.

    One that has not ended, or says nothing of this appointment, changes nothing.

    A message that failed counts as notified, too, so that it is not tried for ever; and one that a
    setting switches off, so that the messages that are switched on still follow.
    """
    notified, expects = message.notified.get(thread.appointment_id), thread.expects_appointment
    if notified is None:
        return thread
    match message.status:
        case "sent" | "switched_off":
            expects = notified.is_on
        case "doubtful":
            expects = expects or notified.is_on
        case "failed":  # one in doubt before may have been delivered
            expects = expects or (message.in_doubt and notified.is_on)
        case _:
            return thread
    return replace(thread, notified=notified, expects_appointment=expects)


def assume_delivered(thread: Thread) -> Thread:
    """The thread as it is if the message in flight has been delivered."""
    message = thread.in_flight
    return thread if message is None else _after(thread, replace(message, status="doubtful"))
