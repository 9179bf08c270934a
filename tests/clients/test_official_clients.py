"""Both official clients of the API that ours is compatible with, against the running system.

Each client's program calls every method that belongs to our operations once for the run; each
method then is a test. The programs live in environments of their own (`environments`).
"""

import json
from pathlib import Path
from typing import Any

import pytest

from clients import environments
from clients.asked import asked
from hoop_platform.ids import new_id

HERE = Path(__file__).parent
PROGRAM_SECONDS = 120.0
pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]

STATUS = {
    "getCalendars": 200,
    "createCalendar": 200,
    "getCalendar": 200,
    "updateCalendar": 200,
    "deleteCalendar": 200,
    "getSlots": 200,
    "getGroups": 200,
    "createCalendarGroup": 201,
    "validateGroupsSlug": 200,
    "editGroup": 200,
    "deleteGroup": 200,
    "disableGroup": 200,
    "getCalendarEvents": 200,
    "getBlockedSlots": 200,
    "createAppointment": 200,
    "getAppointment": 200,
    "editAppointment": 200,
    "createBlockSlot": 201,
    "editBlockSlot": 201,
    "deleteEvent": 201,
    "getAppointmentNotes": 200,
    "createAppointmentNote": 201,
    "updateAppointmentNote": 200,
    "deleteAppointmentNote": 200,
    "fetchCalendarResources": 200,
    "createCalendarResource": 201,
    "getCalendarResource": 200,
    "updateCalendarResource": 200,
    "deleteCalendarResource": 200,
    "getEventNotification": 200,
    "createEventNotification": 200,
    "findEventNotification": 200,
    "updateEventNotification": 200,
    "deleteEventNotification": 200,
    "getAllSchedules": 200,
    "createSchedule": 201,
    "getScheduleById": 200,
    "updateSchedule": 200,
    "deleteSchedule": 200,
    "addCalendarToSchedule": 200,
    "removeCalendarFromSchedule": 200,
}
"""The methods of both clients that belong to our operations, and what a success is answered with."""

BROKEN_IN_PYTHON = {"updateAppointmentNote": 404, "deleteAppointmentNote": 404}
"""The Python client sends `{noteId}` itself where the note's id belongs."""

Report = dict[str, dict[str, Any]]


def _snake(method: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in method)


@pytest.fixture(scope="session")
def python_report(system: Any) -> Report:
    interpreter = environments.python("python_client")
    program = HERE / "python_client" / "check.py"
    said = environments.run(interpreter, program, given=asked(system), seconds=PROGRAM_SECONDS)
    report: Report = json.loads(said.splitlines()[-1])  # the client may have said something before
    return report


@pytest.fixture(scope="session")
def node_report(system: Any, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The program runs in a folder where node finds the client beside it."""
    node, installed = environments.node("node_client")
    folder = tmp_path_factory.mktemp("node_client").resolve()
    (folder / "node_modules").symlink_to(installed / "node_modules")
    (folder / "check.mjs").write_text((HERE / "node_client" / "check.mjs").read_text())
    given = {**asked(system), "HOOP_FOLDER": str(folder)}
    said = environments.run(
        node, folder / "check.mjs", cwd=folder, given=given, seconds=PROGRAM_SECONDS
    )
    report: Report = json.loads(said.splitlines()[-1])  # the client may have said something before
    return report


@pytest.mark.parametrize("method", STATUS)
def test_the_python_client_does(python_report: Report, method: str) -> None:
    """It succeeds, and the answer is of the type that the client promises."""
    found = python_report[_snake(method)]
    if method in BROKEN_IN_PYTHON:
        assert (found["ok"], found["status"]) == (False, BROKEN_IN_PYTHON[method]), found
    else:
        assert found == {"ok": True, "status": STATUS[method], "error": None}


@pytest.mark.parametrize("method", STATUS)
def test_the_node_client_does(node_report: Report, method: str) -> None:
    """It succeeds; what was sent and answered compiles against the client's declarations."""
    assert node_report[method] == {"ok": True, "status": STATUS[method], "error": None}


def test_nothing_else_was_called(python_report: Report, node_report: Report) -> None:
    """The table above names what is checked, no less and no more."""
    assert set(python_report) == set(map(_snake, STATUS))
    assert set(node_report) == set(STATUS)


async def test_one_group(desk: Any) -> None:
    """The operation that neither client has: a group by its id."""
    location = desk.facts["location_id"]
    body = {"locationId": location, "name": "One", "description": "", "slug": f"one-{new_id()}"}
    created = await desk.ask("POST", "/calendars/groups", body)
    assert created.status == 201, created.body
    group = created.body["group"]
    answer = await desk.ask("GET", f"/calendars/groups/{group['id']}")
    assert (answer.status, answer.content) == (200, {"group": group})
    unknown = await desk.ask("GET", f"/calendars/groups/{new_id()}")
    assert unknown.status == 404
