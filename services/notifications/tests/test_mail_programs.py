"""Mails of every occasion, read by parsers that are not ours: postal-mime and ical.js.

They need Node and npm, so this runs with `./hoop test -m vendors` only.
"""

import asyncio
import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from hoop_events.booking import Meeting

HERE = Path(__file__).parent / "mail_programs"
pytestmark = [pytest.mark.vendors, pytest.mark.timeout(300)]

ADA, HUGO = "ada@example.com", "hugo@staff.example.com"
HOUR = timedelta(hours=1)
AWAITED = Meeting(provider="zoom", state="pending", reason="awaiting_confirmation")
TITLE = "Café, “talk” 漢字 🎉; part 1"


def link(number=1):
    return Meeting(
        provider="zoom", state="ready", join_url=f"https://zoom.example/j/{number}?p=a&x=b"
    )


async def run(*command, cwd):
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def read(harness, folder):
    """The mails to Ada as those parsers show them, oldest first."""
    program = shutil.copytree(
        HERE, folder / "program", ignore=shutil.ignore_patterns("node_modules")
    )
    await run("npm", "ci", "--no-audit", "--no-fund", cwd=program)
    files = []
    for number, message in enumerate(m for m in harness.sink.messages if m.recipients == [ADA]):
        files.append(folder / f"{number}.eml")
        files[-1].write_bytes(message.raw.encode("utf-8", "surrogateescape"))
    return json.loads(await run("node", "check.mjs", *files, cwd=program))


async def deliver_each(harness, *events):
    """Handle each event, and deliver what it causes."""
    for event in events:
        await harness.handle(event)
        await harness.deliver_due()


def expected_entry(state, *, status):
    return {
        "uid": f"{state.id}0@google.com",
        "sequence": state.sequence,
        "status": status,
        "summary": state.personal.title,
        "description": state.personal.description,
        "start": state.start_time.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "end": state.end_time.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    }


async def test_one_appointment(harness, new_appointment, tmp_path):
    """Requested, confirmed, moved, elsewhere, with another link, cancelled: parts, texts, entries."""
    appointment = new_appointment()
    appointment.described(title=TITLE, address="Old Street 1")
    await harness.handle(*appointment.surrounding_events)
    states, statuses = [], ["TENTATIVE", *["CONFIRMED"] * 4, "CANCELLED"]
    for change in (
        lambda: appointment.requested(AWAITED),
        lambda: appointment.confirmed(link(1)),
        lambda: appointment.moved(appointment.state.start_time + HOUR, link(2)),
        lambda: appointment.described(address="New Street 2"),
        lambda: appointment.updated(meeting=link(3)),
        appointment.cancelled,
    ):
        await deliver_each(harness, change())
        states.append(appointment.state)

    mails = await read(harness, tmp_path)
    headlines = ["Requested", "Confirmed", "Moved", "Changed", "Join link", "Cancelled"]
    assert [mail["subject"].partition(": ")[0] for mail in mails] == headlines
    assert all(TITLE in mail["subject"] for mail in mails)
    for mail, state, status in zip(mails, states, statuses, strict=True):
        assert mail["from"] == {"address": "appointments@hoop.example", "name": "Hoop"}
        assert mail["to"] == [{"address": ADA, "name": "Ada"}]
        assert TITLE in mail["text"]
        assert TITLE in mail["html"]
        assert [file["type"] for file in mail["files"]] == ["text/calendar", "application/ics"]
        for file in mail["files"]:
            [entry] = file["calendar"]["entries"]
            assert expected_entry(state, status=status).items() <= entry.items()
            assert entry["attendees"] == [f"mailto:{ADA}"]
    assert [mail["files"][0]["calendar"]["method"] for mail in mails] == ["REQUEST"] * 5 + [
        "CANCEL"
    ]
    assert mails[4]["files"][0]["calendar"]["entries"][0]["location"] == link(3).join_url
    assert "New Street 2" in mails[3]["text"]
    assert len({mail["references"] for mail in mails}) == 1


async def test_a_series(harness, new_appointment, tmp_path):
    """One mail with an entry for each date; after changes another one."""
    appointment = new_appointment()
    appointment.described(title=TITLE)
    series = appointment.as_series(12)
    await harness.handle(*appointment.surrounding_events)
    await harness.handle(*[each.booked(link(number)) for number, each in enumerate(series)])
    await harness.deliver_due()
    await harness.handle(series[3].moved(series[3].state.start_time + HOUR, link(99)))
    await harness.handle(series[5].cancelled())
    await harness.deliver_due()

    first, second = await read(harness, tmp_path)
    assert (first["subject"].partition(",")[0], second["subject"].partition(":")[0]) == (
        "Confirmed: Café",
        "Changed",
    )
    for mail in (first, second):
        for file in mail["files"]:
            assert file["calendar"]["method"] == "PUBLISH"
            assert len(file["calendar"]["entries"]) == 12
    entries = second["files"][0]["calendar"]["entries"]
    for number, (each, entry) in enumerate(zip(series, entries, strict=True)):
        status = "CANCELLED" if number == 5 else "CONFIRMED"
        assert expected_entry(each.state, status=status).items() <= entry.items()
        assert entry["attendees"] == []


async def test_a_declined_request(harness, new_appointment, tmp_path):
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events)
    await deliver_each(harness, appointment.requested(), appointment.cancelled())

    _, declined = await read(harness, tmp_path)
    assert declined["subject"].startswith("Declined: ")
    assert declined["files"][0]["calendar"]["method"] == "CANCEL"
