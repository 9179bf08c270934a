"""Generates a client from the document that the system serves; books, moves, cancels and is refused with it.

A program for the generator's own environment: `HOOP_BASE_URL`, `HOOP_API_KEY`, `HOOP_FACTS` (JSON:
location, contact, users, day) and `HOOP_FOLDER` in; a JSON object with what came of it out.
"""

import importlib
import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

BASE = os.environ["HOOP_BASE_URL"]  # noqa: TID251 -- how this program is asked
FOLDER = Path(os.environ["HOOP_FOLDER"])  # noqa: TID251
FACTS = json.loads(os.environ["HOOP_FACTS"])  # noqa: TID251
DAY = datetime.fromisoformat(FACTS["day"])


def generate() -> dict[str, Any]:
    """Write the client beside this program; the operations it has, and what the generator left out."""
    document = FOLDER / "openapi.json"
    with urlopen(f"{BASE}/openapi.json") as answer:
        document.write_bytes(answer.read())
    settings = FOLDER / "settings.yaml"
    settings.write_text("post_hooks: []\n")  # its own formatter is not what is tried
    command = [
        sys.executable,
        "-m",
        "openapi_python_client",
        "generate",
        "--meta",
        "none",
        "--config",
        settings,
    ]
    command += ["--path", document, "--output-path", FOLDER / "hoop_client"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    written = {file.stem for file in FOLDER.glob("hoop_client/api/*/*.py")} - {"__init__"}
    paths = json.loads(document.read_text())["paths"].values()
    meant = {one["operationId"] for path in paths for one in path.values()}
    return {"said": said.stdout.splitlines(), "missing": sorted(meant - written)}


def module(name: str) -> Any:
    return importlib.import_module(f"hoop_client.{name}")


def story() -> dict[str, Any]:
    """An appointment on a new calendar, in the types of the client."""
    models = module("models")
    key = os.environ["HOOP_API_KEY"]  # noqa: TID251
    client = module("client").AuthenticatedClient(base_url=BASE, token=key)
    given = {"client": client, "version": models.Version.V3}
    created = module("api.calendars.create_calendar").sync(
        body=models.CreateCalendar.from_dict(
            {
                "locationId": FACTS["location"],
                "name": "Generated",
                "teamMembers": [{"userId": FACTS["users"][0], "priority": 1}],
                "openHours": [
                    {
                        "daysOfTheWeek": [1],
                        "hours": [
                            {"openHour": 9, "openMinute": 0, "closeHour": 17, "closeMinute": 0}
                        ],
                    }
                ],
            }
        ),
        **given,
    )
    body = {
        "calendarId": created.calendar.id,
        "locationId": FACTS["location"],
        "contactId": FACTS["contact"],
        "startTime": (DAY + timedelta(hours=9)).isoformat(),
    }
    book = module("api.appointments.create_appointment").sync
    booked = book(body=models.CreateAppointment.from_dict(body), **given)
    taken = book(body=models.CreateAppointment.from_dict(body), **given)
    wrong = book(body=models.CreateAppointment.from_dict({**body, "title": "a\nb"}), **given)
    change = module("api.appointments.update_appointment").sync
    moved = change(
        booked.id,
        body=models.UpdateAppointment.from_dict(
            {"startTime": (DAY + timedelta(hours=10)).isoformat()}
        ),
        **given,
    )
    cancelled = change(
        booked.id,
        body=models.UpdateAppointment.from_dict({"appointmentStatus": "cancelled"}),
        **given,
    )
    return {
        "booked": [type(booked).__name__, booked.id == moved.id],
        "moved": moved.start_time != booked.start_time,
        "cancelled": str(cancelled.appointment_status),
        "taken": [type(taken).__name__, taken.code],
        "wrong": [type(wrong).__name__, wrong.code, [one.path for one in wrong.details]],
    }


sys.path.insert(0, str(FOLDER))
report = generate()
print(json.dumps({**report, **story()}))  # noqa: T201 -- what this program answers
