"""Pulling: foreign events block time as long as they exist, our own events never do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hoop_platform import failpoints
from hoop_platform.ids import new_id
from hoop_platform.reconcile import authorized_calls
from sync_google.__main__ import background_tasks
from sync_google.jobs import pull as job

ADA = "ada@example.com"


@pytest.fixture
async def calendar(world):
    """A calendar whose Google calendar is empty and was listed once."""
    calendar_id = await world.calendar()
    await world.connect(calendar_id)
    await world.pull()
    return calendar_id


def utc(day: int, hour: int = 0, minute: int = 0) -> datetime:
    """In March 2027."""
    return datetime(2027, 3, day, hour, minute, tzinfo=UTC)


async def count_full_lists(world) -> int:
    """How many full lists were requested from Google."""
    log = await world.google("GET log")
    return sum("timeMin" in entry["query"] and "pageToken" not in entry["query"] for entry in log)


@pytest.mark.parametrize(
    ("fields", "blocks"),
    [
        ({}, True),
        ({"status": "tentative"}, True),
        ({"eventType": "outOfOffice"}, True),
        ({"eventType": "focusTime"}, True),
        ({"attendees": [{"email": ADA, "self": True, "responseStatus": "accepted"}]}, True),
        ({"attendees": [{"email": "bob@example.com", "responseStatus": "declined"}]}, True),
        ({"transparency": "transparent"}, False),
        ({"eventType": "workingLocation"}, False),
        ({"attendees": [{"email": ADA, "self": True, "responseStatus": "declined"}]}, False),
    ],
)
async def test_which_events_block(world, calendar, fields, blocks) -> None:
    """All events but those shown as free, declined by the owner, and working locations."""
    await world.foreign(0, **fields)
    await world.pull()
    assert await world.busy() == ([(world.at(0), world.at(1))] if blocks else [])


async def test_an_event_over_sunday_night_is_in_both_weeks(world, calendar) -> None:
    """The event is split at midnight UTC; only weeks that changed are announced again."""
    await world.foreign(6 * 24 + 10, 10)
    await world.pull()
    assert await world.busy() == [(utc(7, 19), utc(8)), (utc(8), utc(8, 5))]
    weeks = [week["week"] for week in await world.announced("ExternalBusyChanged")]
    assert weeks == ["2027-W09", "2027-W10"]

    await world.foreign(8 * 24)
    await world.pull()
    weeks = [week["week"] for week in await world.announced("ExternalBusyChanged")]
    assert weeks == ["2027-W09", "2027-W10", "2027-W10"]


async def test_overlapping_events_are_one_interval(world, calendar) -> None:
    """Deleting one of the events leaves the time of the other."""
    first = await world.foreign(0, 2)
    await world.foreign(1, 2)
    await world.pull()
    assert await world.busy() == [(world.at(0), world.at(3))]
    await world.google(f"DELETE events/{first}")
    await world.pull()
    assert await world.busy() == [(world.at(1), world.at(3))]


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        ("America/New_York", utc(14, 5), utc(15, 4)),  # the day of the change has 23 hours
        ("Pacific/Kiritimati", utc(13, 10), utc(14, 10)),
        ("Pacific/Pago_Pago", utc(14, 11), utc(15, 11)),
    ],
)
async def test_a_whole_day_is_a_day_in_the_zone_of_the_calendar(world, zone, start, end) -> None:
    """The end date is exclusive, and the midnights are those of the Google calendar's zone."""
    await world.google("POST settings", {"time_zone": zone})
    await world.connect(await world.calendar())
    await world.foreign(0, start={"date": "2027-03-14"}, end={"date": "2027-03-15"})
    await world.pull()
    busy = await world.busy()
    assert (busy[0][0], busy[-1][1]) == (start, end)
    assert sum((b - a for a, b in busy), timedelta()) == end - start


async def test_the_calendar_moves_to_another_zone(world, calendar) -> None:
    """Whole days begin and end at other instants, although no event was changed."""
    await world.foreign(0, start={"date": "2027-03-03"}, end={"date": "2027-03-04"})
    await world.pull()
    assert await world.busy() == [(utc(3), utc(4))]
    world.sim.api.calendars.all[ADA].zone = ZoneInfo("Asia/Tokyo")
    await world.pull()
    assert await world.busy() == [(utc(2, 15), utc(3, 15))]


async def test_a_series_with_exceptions(world, calendar) -> None:
    """Each instance blocks; one is cancelled, one moved, the series shortened, in the end deleted."""
    rule = ["RRULE:FREQ=DAILY;COUNT=4"]
    edges = {
        "start": {"dateTime": world.at(0).isoformat(), "timeZone": "UTC"},
        "end": {"dateTime": world.at(1).isoformat(), "timeZone": "UTC"},
    }
    series = await world.foreign(0, recurrence=rule, **edges)
    await world.pull()
    assert [start for start, _ in await world.busy()] == [world.at(24 * day) for day in range(4)]

    await world.google(f"DELETE events/{series}_20270302T090000Z")
    later = {
        "start": {"dateTime": world.at(51).isoformat()},
        "end": {"dateTime": world.at(52).isoformat()},
    }
    await world.google(f"PATCH events/{series}_20270303T090000Z", later)
    await world.pull()
    assert [start for start, _ in await world.busy()] == [world.at(h) for h in (0, 51, 72)]

    await world.google(f"PATCH events/{series}", {"recurrence": ["RRULE:FREQ=DAILY;COUNT=3"]})
    await world.pull()
    assert [start for start, _ in await world.busy()] == [world.at(h) for h in (0, 51)]

    await world.google(f"DELETE events/{series}")
    await world.pull()
    assert await world.busy() == []


async def test_lists_of_several_pages(world) -> None:
    """With pages of one event each, full lists and changes are still complete."""
    await world.google("POST settings", {"page_size": 1})
    await world.connect(await world.calendar())
    events = [await world.foreign(2 * n) for n in range(5)]
    await world.pull()
    assert len(await world.busy()) == 5
    for event in events[:3]:
        await world.google(f"DELETE events/{event}")
    await world.pull()
    assert [start for start, _ in await world.busy()] == [world.at(6), world.at(8)]


@pytest.mark.parametrize("where", ["google_page", "google_listed", "google_listing_stored"])
async def test_a_crash_while_pulling_loses_nothing(world, calendar, where) -> None:
    """Between two pages, before the commit or in it: the next listing begins at the last stored token."""
    await world.google("POST settings", {"page_size": 1})
    for hour in (0, 2, 4):
        await world.foreign(hour)
    failpoints.arm(f"{where}=raise:{2 if where == 'google_page' else 1}")
    await world.pull()
    assert not failpoints.armed()
    assert await world.announced("ExternalBusyChanged") == []
    await world.pull()
    assert len(await world.busy()) == 3


@pytest.mark.parametrize("how", ["expired", "aged", "refused"])
async def test_an_expired_sync_token_means_a_full_list(world, calendar, how) -> None:
    """A full list leaves deleted events out: stored events that it does not name are deleted."""
    event = await world.foreign(0)
    await world.foreign(3)
    await world.pull()
    await world.google(f"DELETE events/{event}")
    if how == "expired":
        await world.google("POST expire-sync-tokens", {})
    elif how == "aged":
        await world.google("POST settings", {"sync_token_max_changes": 1})
        await world.foreign(5)
    else:
        await world.runtime.db.execute("UPDATE feed SET sync_token = 'rubbish'")
    await world.pull()
    expected = [world.at(3), world.at(5)] if how == "aged" else [world.at(3)]
    assert [start for start, _ in await world.busy()] == expected
    assert await count_full_lists(world) == 2


async def test_our_own_events_block_nothing_and_cause_no_write(world, calendar) -> None:
    """One write for a booking, however often Google is polled afterwards; no busy time."""
    for hour in (0, 2):
        await world.book(calendar, hour)
    await world.push()
    written = await world.writes()
    for _ in range(3):
        await world.pull()
        assert await world.push() == 0
    await world.google("POST expire-sync-tokens", {})
    await world.pull()
    assert await world.push() == 0
    assert (await world.writes(), len(written)) == (written, 2)
    assert await world.announced("ExternalBusyChanged") == []


async def test_our_event_blocks_nothing_when_somebody_moves_it(world, calendar) -> None:
    """The event is known by its id; a copy of it, with the same marks, is foreign and blocks."""
    appointment = await world.book(calendar)
    await world.push()
    [event] = await world.events()
    moved = {
        "start": {"dateTime": world.at(30).isoformat()},
        "end": {"dateTime": world.at(31).isoformat()},
    }
    await world.google(f"PATCH events/{await world.event_id(appointment)}", moved)
    await world.foreign(50, extendedProperties=event["extendedProperties"])
    await world.pull()
    assert await world.busy() == [(world.at(50), world.at(51))]


async def test_our_event_is_known_without_its_marks(world, calendar) -> None:
    """Another app has removed our marks: the event is still known by its id."""
    appointment = await world.book(calendar)
    await world.push()
    marks = dict.fromkeys(("hoopAppointment", "hoopGeneration", "hoopConnection"))
    await world.google(
        f"PATCH events/{await world.event_id(appointment)}",
        {"extendedProperties": {"private": marks}, "summary": "x"},
    )
    await world.pull()
    assert await world.busy() == []


async def test_a_listing_older_than_our_write_is_no_drift(world, calendar, monkeypatch) -> None:
    """The list was requested before our write and arrives after it: it shows the event as it was."""
    appointment = await world.book(calendar)
    await world.push()
    await world.google(f"PATCH events/{await world.event_id(appointment)}", {"summary": "Mine now"})
    real_fp = job.fp

    async def write_meanwhile(name: str) -> None:
        if name == "google_listed":
            await world.move(appointment, 2)
            await world.push()
        await real_fp(name)

    monkeypatch.setattr(job, "fp", write_meanwhile)
    await world.pull()
    written = await world.writes()
    await world.change(appointment, appointment_status="showed")
    await world.push()
    assert await world.writes() == written


async def test_another_tenants_appointment_blocks(world, calendar) -> None:
    """An event of our app for another account, in the same Google calendar, makes the person busy."""
    theirs = new_id()
    marks = {"hoopAppointment": theirs, "hoopGeneration": "1", "hoopConnection": new_id()}
    await world.foreign(4, id=f"{theirs}1", extendedProperties={"private": marks})
    await world.pull()
    assert await world.busy() == [(world.at(4), world.at(5))]


async def test_an_event_that_moves_out_of_the_window_frees_its_time(world, calendar) -> None:
    """A list of changes also contains events outside the window: their old time is free."""
    event = await world.foreign(0)
    await world.pull()
    far = {
        "start": {"dateTime": world.at(24 * 600).isoformat()},
        "end": {"dateTime": world.at(24 * 600 + 1).isoformat()},
    }
    await world.google(f"PATCH events/{event}", far)
    await world.pull()
    assert await world.busy() == []


async def test_an_event_of_years_fills_the_window_and_no_more(world, calendar) -> None:
    """From the Monday of yesterday's week to the Sunday of the horizon's week, each week is full."""
    await world.foreign(-24 * 500, 24 * 5000)
    await world.pull()
    busy = await world.busy()
    assert busy[0][0] == datetime(2027, 2, 15, tzinfo=UTC)  # the week of yesterday, a Sunday
    assert busy[-1][1] >= world.now() + timedelta(days=180)
    assert all(b - a == timedelta(days=7) for a, b in busy)
    assert len(busy) == 27


async def test_events_come_into_the_window_as_time_passes(world, calendar) -> None:
    """Google lists no change for them: the daily full list finds them, once a day."""
    start = {"dateTime": world.at(24 * 190).isoformat(), "timeZone": "UTC"}
    end = {"dateTime": world.at(24 * 190 + 1).isoformat(), "timeZone": "UTC"}
    await world.foreign(0, start=start, end=end)
    await world.pull()
    assert await world.busy() == []
    world.pass_time(days=20)
    await world.pull()
    assert await world.busy() == [(world.at(24 * 190), world.at(24 * 190 + 1))]
    await world.pull()
    assert await count_full_lists(world) == 2


async def test_a_poll_that_finds_nothing_announces_nothing(world, calendar) -> None:
    """`lastSyncAt` is announced for the first listing, then at most every quarter of an hour."""
    count = len(await world.announced("ConnectionChanged"))
    for _ in range(3):
        await world.pull()
    assert len(await world.announced("ConnectionChanged")) == count
    world.pass_time(minutes=16)
    await world.pull()
    states = await world.announced("ConnectionChanged")
    assert len(states) == count + 1
    assert datetime.fromisoformat(states[-1]["lastSyncAt"]) - world.now() < timedelta(minutes=1)


@pytest.mark.parametrize(
    "fault", ["status:500", "status:503", "garbage", "truncate", "drop", "status:400"]
)
async def test_a_failing_google_is_polled_again_later(world, calendar, fault) -> None:
    """The known busy times stay during the failure, and are up to date after it."""
    await world.foreign(0)
    await world.pull()
    await world.foreign(3)
    number = await world.fault(fault, method="GET", path="/events$")
    await world.pull()
    assert await world.busy() == [(world.at(0), world.at(1))]
    row = await world.feed()
    assert (row["later"], bool(row["last_error"]), row["lease_token"]) == (True, True, None)
    await world.google(f"DELETE faults/{number}")
    await world.pull()
    assert len(await world.busy()) == 2


async def test_a_rate_limit_while_pulling_delays_pushes_too(world, calendar) -> None:
    """Both count against the rate limit of one Google user."""
    await world.fault(
        "status:403",
        method="GET",
        path="/events$",
        times=1,
        headers={"Retry-After": "40"},
        body={"error": {"code": 403, "errors": [{"reason": "userRateLimitExceeded"}]}},
    )
    await world.pull()
    await world.book(calendar)
    assert await world.push() == 0
    calls = await world.calls()
    await world.pull()
    assert await world.calls() == calls
    assert (await world.feed())["later"]
    await world.end_waits()
    assert await world.push() == 1


async def test_a_malformed_event_does_not_hide_the_others(world, calendar) -> None:
    """Malformed events are left out (and logged); the others block."""
    good = {
        "id": "a",
        "status": "confirmed",
        "start": {"dateTime": world.at(0).isoformat()},
        "end": {"dateTime": world.at(1).isoformat()},
    }
    malformed = [
        {},
        {"id": 7},
        {**good, "id": "b", "start": {}},
        {**good, "id": "c", "end": "soon"},
    ]
    body = {"items": [*malformed, good], "timeZone": "Mars/Base", "nextSyncToken": "t"}
    await world.runtime.db.execute("UPDATE feed SET sync_token = NULL")
    await world.fault("status:200", method="GET", path="/events$", body=body)
    await world.pull()
    assert await world.busy() == [(world.at(0), world.at(1))]


async def test_a_long_list_takes_several_attempts(world, calendar, monkeypatch) -> None:
    """An attempt ends with the page that takes too long; the next one goes on behind it."""
    await world.google("POST settings", {"page_size": 1})
    events = [await world.foreign(2 * hour) for hour in range(4)]
    monkeypatch.setattr(authorized_calls, "CALL_SECONDS", 0.0)
    await world.google("POST reset", {"log": True})
    await world.pull()
    assert len(await world.busy()) == len(events)
    lists = [entry for entry in await world.google("GET log") if entry["path"].endswith("/events")]
    assert len(lists) == len(events)
    assert await world.runtime.db.fetchval("SELECT unfinished FROM feed") is None


@pytest.mark.parametrize("fault", ["status:400", "status:410", "status:503", "too old"])
async def test_an_interrupted_list_is_finished_or_begun_again(
    world, calendar, monkeypatch, fault
) -> None:
    """Whatever becomes of a list whose first pages were stored, in the end all events block."""
    await world.google("POST settings", {"page_size": 1})
    for hour in range(5):
        await world.foreign(2 * hour, summary="\x00")
    await world.runtime.db.execute("UPDATE feed SET sync_token = NULL")
    monkeypatch.setattr(authorized_calls, "CALL_SECONDS", 0.0)
    do = "status:503" if fault == "too old" else fault
    body = {"error": {"code": 400, "errors": [{"reason": "other"}]}} if fault[-3:] < "500" else None
    await world.fault(do, method="GET", path="/events$", times=1, skip=2, body=body)
    await world.pull()
    assert await world.busy() == []
    if fault == "too old":
        monkeypatch.setattr(authorized_calls, "CALL_SECONDS", 25.0)
        monkeypatch.setattr(job, "MAX_AGE", timedelta())
    await world.google("POST reset", {"log": True})
    await world.pull()
    assert len(await world.busy()) == 5
    assert await count_full_lists(world) == (0 if fault == "status:503" else 1)


async def test_polls_that_succeed_do_not_make_a_failure_wait_longer(world, calendar) -> None:
    """A failure after many polls is tried again after a second, not after a quarter of an hour."""
    for _ in range(20):
        await world.pull()
    await world.fault("status:500", method="GET", path="/events$", times=1)
    await world.pull()
    wait = await world.runtime.db.fetchval(
        "SELECT next_attempt_at - clock_timestamp() FROM work WHERE kind = 'google-feed'"
    )
    assert wait < timedelta(seconds=2)


async def test_an_ended_or_suspended_connection_is_not_polled(world, calendar) -> None:
    """Its desired state is done or failed, and costs nothing until it is connected again."""
    await world.google("POST revoke", {"user": ADA})
    world.pass_time(hours=2)
    await world.pull()
    assert (await world.feed())["status"] == "failed"
    connection_id = await world.connect(calendar)
    await world.foreign(0)
    await world.pull()
    assert await world.busy() == [(world.at(0), world.at(1))]
    await world.disconnect(connection_id)
    await world.pull()
    assert (await world.feed())["status"] == "done"


async def test_pushes_come_first_when_the_worker_is_busy(world, calendar) -> None:
    """Both are due: a worker that takes one at a time writes the appointment before it polls."""
    await world.runtime.db.execute("UPDATE work SET next_attempt_at = clock_timestamp()")
    await world.book(calendar, 24 * 300)
    await world.google("POST reset", {"log": True})
    [work] = background_tasks(world.runtime)
    worker = work.__self__
    while await worker.once():
        pass
    calls = [entry["method"] for entry in await world.google("GET log")]
    assert calls == ["POST", "GET"]
