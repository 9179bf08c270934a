"""`./hoop open` and `./hoop book`: a look at a running system, and an appointment on it. Standard library only."""

import json
import time
import uuid
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request

from local.cli.options import Exit
from local.cli.status import DIRECT
from local.cli.system_folder import not_running, read_facts

APPOINTMENTS = "/calendars/events/appointments"
DAYS = 7  # searched for a free slot
LINK_LIMIT = 20.0  # seconds until the meeting link should be there
DAY_MS = 86_400_000


class NotBooked(Exception):
    """The system refused, or did not respond; the text says what it said."""


def run_open(what: str, *, local: Path) -> int:
    """Open a page in the browser of this machine, and print its address."""
    facts = read_facts(local)
    if facts is None:
        return not_running(local)
    address = facts["mail"]["inbox_url"] if what == "inbox" else f"{facts['base_url']}/docs"
    print(address)
    if not webbrowser.open(address):
        print("  (no browser was found; open this address yourself)")
    return Exit.OK


def run_book(*, local: Path, as_json: bool) -> int:
    """Book the next free slot of the demo calendar, and print the appointment and its link."""
    facts = read_facts(local)
    if facts is None:
        return not_running(local)
    try:
        booked = _book(DemoClient(facts))
    except NotBooked as refusal:
        print(json.dumps({"error": str(refusal)}) if as_json else f"✗ {refusal}")
        return Exit.FAILED
    if as_json:
        print(json.dumps(booked))
    else:
        print(f"✓ booked {booked['startTime']}: appointment {booked['id']}")
        print(f"  Zoom link  {booked['joinUrl'] or 'not there yet'}")
        print(f"  mails      {facts['mail']['inbox_url']}")
    return Exit.OK


@dataclass(frozen=True)
class DemoClient:
    """Sends requests of the demo account."""

    facts: Mapping[str, Any]

    def request(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """The response's body. Raises `NotBooked` for any status but success."""
        key = self.facts["limited_api_key" if self.facts.get("limits") else "api_key"]
        address = self.facts["base_url"] + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Authorization": f"Bearer {key}", "Version": "2021-07-28"}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        content = None if body is None else json.dumps(body).encode()
        try:
            with DIRECT.open(Request(address, content, headers, method=method), timeout=30) as got:  # noqa: S310 -- an address of ours
                return json.load(got)
        except HTTPError as refusal:
            text = refusal.read().decode(errors="replace")
            raise NotBooked(f"{method} {path}: {refusal.code} {text}") from refusal
        except (URLError, OSError, ValueError) as error:
            raise NotBooked(f"{method} {path}: no response ({error})") from error


def _book(client: DemoClient) -> dict[str, Any]:
    """Book, and wait a little for the link: id, start and link of the appointment."""
    facts = client.facts
    body = {
        "calendarId": facts["calendar_id"],
        "locationId": facts["location_id"],
        "contactId": facts["contact_ids"][0],
        "startTime": _next_slot(client),
    }
    created = client.request("POST", APPOINTMENTS, body)
    link = _link(client, created["id"])
    return {"id": created["id"], "startTime": body["startTime"], "joinUrl": link}


def _next_slot(client: DemoClient) -> str:
    """The start of the first free slot of the next days."""
    now = int(time.time() * 1000)
    days = client.request(
        "GET",
        f"/calendars/{client.facts['calendar_id']}/free-slots",
        startDate=now,
        endDate=now + DAYS * DAY_MS,
        timezone="UTC",
    )
    slots = sorted(slot for day in days.values() if isinstance(day, dict) for slot in day["slots"])
    if not slots:
        raise NotBooked(f"the demo calendar has no free slot within {DAYS} days")
    return str(slots[0])


def _link(client: DemoClient, appointment: str) -> str | None:
    """The meeting link, once it is there."""
    deadline = time.monotonic() + LINK_LIMIT
    while time.monotonic() < deadline:
        event = client.request("GET", f"{APPOINTMENTS}/{appointment}")["event"]
        if (event.get("meeting") or {}).get("state") == "ready":
            return str(event["meeting"]["joinUrl"])
        time.sleep(0.2)
    return None
