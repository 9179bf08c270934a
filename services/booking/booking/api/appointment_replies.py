"""The responses of the operations on appointments, with `ETag` and consistency token."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from booking.api.presenters import (
    present_appointment,
    present_outcome,
    public_id,
    token_header,
)
from booking.domain.series import OccurrenceOutcome
from hoop_events.booking import Appointment
from hoop_platform.http.route import Reply


def highest_versions(states: Iterable[Appointment]) -> dict[str, int]:
    """The highest version of each key: the token of all these changes together."""
    highest: dict[str, int] = {}
    for state in states:
        for key, version in state.versions.items():
            highest[key] = max(version, highest.get(key, 0))
    return highest


def new_series_reply(outcomes: Sequence[OccurrenceOutcome]) -> Reply:
    """The first occurrence that takes time, and the outcome of each."""
    states = [one.state for one in outcomes if one.state is not None]
    first = next(one.state for one in outcomes if one.state is not None and one.state.occupies)
    occurrences = [present_outcome(one, first.time_zone) for one in outcomes]
    reply = etag_reply({**present_appointment(first), "occurrences": occurrences})
    return replace(reply, headers={**reply.headers, **token_header(highest_versions(states))})


def changed_series_reply(states: Sequence[Appointment]) -> Reply:
    reply = etag_reply(
        {**present_appointment(states[0]), "occurrenceIds": [public_id(one) for one in states]}
    )
    return replace(reply, headers={**reply.headers, **token_header(highest_versions(states))})


def appointment_reply(state: Appointment) -> Reply:
    """The response to a change, with the consistency token."""
    reply = etag_reply(present_appointment(state))
    return replace(reply, headers={**reply.headers, **token_header(state.versions)})


def etag_reply(body: dict[str, Any], version: int | None = None) -> Reply:
    """The response with the version as its `ETag`."""
    return Reply(body, headers={"ETag": f'"{version or body["version"]}"'})
