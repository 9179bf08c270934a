"""The document of the API against the running system, as schemathesis judges it, with every check."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from clients import environments

HERE = Path(__file__).parent / "schema_client"
RUN_SECONDS = 80
"""The budget of it all; random data and walks along links go on until it is spent."""
pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]

USUAL = ["2xx", "3xx", "401", "403", "404", "409", "429", "5xx"]
"""What valid data may be answered with by schemathesis' own rule (a 5xx fails by another check)."""
STALE = "412"
"""Everywhere: a version in `If-Match` is drawn by lot, and is not the present one."""

RULES = {
    "422": {
        "an end must come after its start": [
            "GET /calendars/events",
            "GET /calendars/blocked-slots",
            "POST /calendars/events/block-slots",
            "PUT /calendars/events/block-slots/{eventId}",
            "POST /calendars/{calendarId}/holds",
            "GET /calendars/{calendarId}/sessions",
        ],
        "and lie within 31 days, in a zone of the IANA database": [
            "GET /calendars/{calendarId}/free-slots"
        ],
        "a schedule's zone, dates and intervals are read as such": [
            "POST /calendars/schedules",
            "PUT /calendars/schedules/{id}",
        ],
        "a calendar obeys the rules of its type; hours end after they begin": [
            "POST /calendars/",
            "PUT /calendars/{calendarId}",
        ],
        "locations exclude each other, a recurrence rule is read, a member is on the team": [
            "POST /calendars/events/appointments",
            "PUT /calendars/events/appointments/{eventId}",
        ],
        "users that do not exist, by the rule for ids of users in bodies": [
            "POST /calendars/appointments/{appointmentId}/notes",
            "PUT /calendars/appointments/{appointmentId}/notes/{noteId}",
            "POST /users/{userId}/reassign",
        ],
        "an address is one plain mail address, a placeholder one that is known": [
            "POST /calendars/{calendarId}/notifications",
            "PUT /calendars/{calendarId}/notifications/{notificationId}",
            "POST /contacts/",
            "PUT /contacts/{contactId}",
            "POST /users/",
            "PUT /users/{userId}",
        ],
        "a contact that does not exist yet has a name": ["POST /contacts/upsert"],
        "more units out of service than there are": [
            "POST /calendars/resources/{resourceType}",
            "PUT /calendars/resources/{resourceType}/{id}",
        ],
        "a cursor is one of ours": [
            "GET /calendars/events",
            "GET /calendars/blocked-slots",
            "GET /contacts/{contactId}/appointments",
        ],
        "a zone of the IANA database": ["POST /locations/", "PUT /locations/{locationId}"],
        "a key ends in the future": ["POST /api-keys"],
        "whom a connection blocks is a member of its calendar": [
            "POST /integrations/google/connect",
            "PUT /integrations/google/{connectionId}",
        ],
        "the way back lies on our own origin": [
            "POST /integrations/google/connect",
            "POST /integrations/zoom/connect",
        ],
    },
    "400": {
        "a slot that is taken or not offered": [
            "POST /calendars/events/appointments",
            "PUT /calendars/events/appointments/{eventId}",
            "POST /calendars/{calendarId}/holds",
        ],
        "a calendar that is switched off": ["GET /calendars/{calendarId}/free-slots"],
        "an answer of the provider to a question that nobody asked": [
            "GET /integrations/google/callback",
            "GET /integrations/zoom/callback",
        ],
    },
}
"""Data that the document's schemas allow and a rule refuses, because JSON Schema cannot say the rule."""

FIXED = [
    "/contacts/upsert",
    "/calendars/blocked-slots",
    "/calendars/events",
    "/calendars/events/appointments",
    "/calendars/events/block-slots",
    "/calendars/groups",
    "/calendars/groups/validate-slug",
    "/calendars/schedules",
    "/calendars/schedules/search",
    "/integrations/google/callback",
    "/integrations/google/connect",
    "/integrations/zoom/callback",
    "/integrations/zoom/connect",
]
"""Fixed paths that are also an id of a path with a parameter: `Allow` lists that one's methods, too."""

PAGES = ["/integrations/google/callback", "/integrations/zoom/callback"]
"""Answer a page to a browser, their refusals included; the document says JSON of all refusals."""

FOLLOWED = [
    "/users/{userId}/calendars",
    "/users/{userId}/schedules",
    "/contacts/{contactId}/appointments",
]
"""Served by another service than the one that deletes the user or the contact: it follows a moment later."""

HEAD = """\
# One worker: on Python 3.11 hypothesis in several threads breaks the compiler (a SystemError).
seed = 20270301
workers = 1
continue-on-failure = true
hooks = "hooks.py"
warnings = false
max-time = {seconds}

[headers]
Authorization = "Bearer ${{HOOP_API_KEY}}"
Version = "v3"

[generation]
max-examples = 4
no-shrink = true
allow-x00 = false  # Postgres cannot store it: 422 in any text, which schemas do not repeat
database = "none"

[phases.stateful]
max-steps = 6

[checks.positive_data_acceptance]
expected-statuses = {usual}
"""


def _configuration() -> str:
    """Checks and their documented exceptions, as schemathesis reads them."""
    allowed: dict[str, set[str]] = {}
    for status, reasons in RULES.items():
        for operations in reasons.values():
            for operation in operations:
                allowed.setdefault(operation, set()).add(status)
    usual = [*USUAL, STALE]
    parts = [HEAD.format(seconds=RUN_SECONDS, usual=json.dumps(usual))]
    parts += [
        f'[[operations]]\ninclude-name = "{operation}"\n'
        f"[operations.checks.positive_data_acceptance]\n"
        f"expected-statuses = {json.dumps(usual + sorted(statuses))}\n"
        for operation, statuses in sorted(allowed.items())
    ]
    parts.append(_without("allow_header_conformance", FIXED))
    parts.append(_without("content_type_conformance", PAGES))
    parts.append(_without("use_after_free", FOLLOWED))
    return "\n".join(parts)


def _without(check: str, paths: list[str]) -> str:
    """A check that does not apply to these paths."""
    pattern = "|".join(map(re.escape, paths))
    return (
        f"[[operations]]\ninclude-path-regex = '^({pattern})$'\n"
        f"[operations.checks.{check}]\nenabled = false\n"
    )


def _given(system: Any) -> dict[str, str]:
    """An account of its own, whom to ask, and what is there."""
    facts = system.facts
    location, key = facts["other_location_id"], facts["other_api_key"]
    contact, user = facts["other_contact_ids"][0], facts["other_user_ids"][0]
    ids = {"locationId": location, "contactId": contact, "userId": user, "assignedUserId": user}
    kept = [location, key.split("_")[1], *facts["other_contact_ids"], *facts["other_user_ids"]]
    return {
        "HOOP_API_KEY": key,
        "HOOP_IDS": json.dumps(ids),
        "HOOP_KEPT": json.dumps(kept),
    }


async def _calendar(system: Any) -> str:
    """A calendar in the other account, for operations that need one."""
    facts = system.facts
    body = {
        "locationId": facts["other_location_id"],
        "name": "Schemathesis",
        "calendarType": "personal",
        "teamMembers": [{"userId": facts["other_user_ids"][0]}],
        "openHours": [
            {
                "daysOfTheWeek": [0, 1, 2, 3, 4, 5, 6],
                "hours": [{"openHour": 0, "openMinute": 0, "closeHour": 23, "closeMinute": 60}],
            }
        ],
    }
    async with system.client("other_api_key") as ask:
        answer = await ask("POST", "/calendars/", body)
    assert answer.status == 200, answer.body
    return str(answer.body["calendar"]["id"])


async def test_the_api_is_what_its_document_says(system: Any, tmp_path: Path) -> None:
    """Examples, boundaries, random data and walks along links: nothing fails but what is listed."""
    calendar = await _calendar(system)
    given = _given(system)
    given["HOOP_IDS"] = json.dumps(json.loads(given["HOOP_IDS"]) | {"calendarId": calendar})
    given["HOOP_KEPT"] = json.dumps([*json.loads(given["HOOP_KEPT"]), calendar])
    (tmp_path / "schemathesis.toml").write_text(_configuration())
    (tmp_path / "hooks.py").write_text((HERE / "hooks.py").read_text())
    interpreter = environments.python("schema_client")
    document = system.facts["base_url"] + "/openapi.json"
    environments.run(
        interpreter,
        "-m",
        "schemathesis.cli",
        "--no-color",
        "run",
        document,
        cwd=tmp_path,
        given=given,
        seconds=400,
    )
