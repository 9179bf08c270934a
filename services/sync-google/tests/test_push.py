"""Writing into Google when things go wrong: exactly one event for an appointment, none after its end."""

import asyncio

import pytest

from hoop_events.booking import AppointmentCreated, AppointmentUpdated, Meeting
from hoop_platform import failpoints
from hoop_platform.reconcile.worker import Worker
from sync_google import store
from sync_google.google import calendar as adapter
from sync_google.jobs import push as job


@pytest.fixture
async def calendar(world):
    """A calendar that is connected and empty."""
    made = await world.calendar()
    await world.connect(made)
    await world.google("POST reset", {"log": True})
    return made


async def starts(world) -> list[str]:
    return [event["start"]["dateTime"] for event in await world.events()]


@pytest.mark.parametrize("where", ["google_intended", "google_made", "google-event_claimed"])
async def test_a_crash_around_the_call_makes_no_second_event(world, calendar, where) -> None:
    """Whether the call was made or not, the next attempt finds out by the id."""
    await world.book(calendar)
    failpoints.arm(f"{where}=raise")
    if where.endswith("claimed"):
        with pytest.raises(RuntimeError):
            await world.push()
        await world.runtime.db.execute("UPDATE work SET lease_until = clock_timestamp()")
    else:
        await world.push()
    await world.wait()
    await world.push()
    assert await starts(world) == ["2027-03-01T09:00:00Z"]
    expected = ["POST 200", "POST 409"] if where == "google_made" else ["POST 200"]
    assert await world.writes() == expected


@pytest.mark.parametrize(
    "fault", ["drop-after-commit", "commit-then-500", "truncate", "garbage", "drop", "status:503"]
)
async def test_a_lost_answer_makes_no_second_event(world, calendar, fault) -> None:
    """What was done or not done behind a broken answer, one event is there in the end."""
    await world.fault(fault, method="POST", path="/events$", times=1)
    appointment = await world.book(calendar)
    await world.push()
    await world.wait()
    await world.push()
    assert [event["id"] for event in await world.events()] == [f"{appointment}1"]
    [wish] = await world.work()
    assert wish["status"] == "done"


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_lost_answer_to_a_change_is_harmless(world, calendar, method) -> None:
    """A change that was made unseen is read, and made again only where it was not made."""
    appointment = await world.book(calendar)
    await world.push()
    await world.fault("drop-after-commit", method=method, times=1)
    await (world.move(appointment, 5) if method == "PATCH" else world.cancel(appointment))
    await world.push()
    await world.wait()
    await world.push()
    assert await starts(world) == (["2027-03-01T14:00:00Z"] if method == "PATCH" else [])


async def test_google_contradicts_itself_for_a_while(world, calendar) -> None:
    """It refuses the id as taken and does not show the event yet: patience, not a second event."""
    await world.fault("drop-after-commit", method="POST", path="/events$", times=1)
    await world.fault("status:404", method="GET", path="/events/", times=3)
    appointment = await world.book(calendar)
    for _ in range(5):
        await world.push()
        await world.wait()
    assert [event["id"] for event in await world.events()] == [f"{appointment}1"]
    assert "POST 200" not in (await world.writes())[1:]


async def test_an_id_that_is_spent_and_forgotten_is_not_insisted_on(world, calendar) -> None:
    """Taken for ever, and shown to nobody: after half a minute the next generation is made."""
    await world.fault("status:409", method="POST", path="/events$", times=7)
    appointment = await world.book(calendar)
    for _ in range(8):
        await world.push()
        await world.wait()
    assert [event["id"] for event in await world.events()] == [f"{appointment}2"]


async def test_google_hangs_while_the_appointment_is_cancelled(
    world, calendar, monkeypatch
) -> None:
    """A call that comes true after everybody has given it up is found, and its event taken away."""
    monkeypatch.setattr(adapter, "TIMEOUT", 0.3)
    await world.fault("slow:1", method="POST", path="/events$", times=1)
    appointment = await world.book(calendar)
    await world.push()
    await world.cancel(appointment)
    await world.push()
    [wish] = await world.work()
    assert (wish["status"], "may still come true" in wish["last_error"]) == ("due", True)

    await asyncio.sleep(1)  # the time that the simulated Google takes
    assert len(await world.events()) == 1
    await world.wait()
    await world.push()
    assert await world.events() == []


async def test_a_lost_call_that_never_came_true_is_given_up_after_a_while(world, calendar) -> None:
    """Cancelled, and nothing was made: after three timeouts that is certain."""
    await world.fault("drop", method="POST", path="/events$", times=1)
    appointment = await world.book(calendar)
    await world.push()
    await world.cancel(appointment)
    await world.push()
    await world.runtime.db.execute("UPDATE external SET intent_at = intent_at - '31 s'::interval")
    await world.wait()
    await world.push()
    [wish] = await world.work()
    assert wish["status"] == "done"
    assert await world.events() == []


async def test_who_was_frozen_and_wakes_up_does_no_harm(world, calendar, monkeypatch) -> None:
    """He lost the wish between intent and call: what he made all the same is found and taken away."""
    real_fp, stolen = job.fp, []

    async def freeze(name: str) -> None:
        if name == "google_intended" and not stolen:
            stolen.append(name)
            await world.runtime.db.execute("UPDATE work SET lease_until = '2000-01-01'")
            await world.cancel(appointment)
            await world.runtime.db.execute(
                "UPDATE external SET intent_at = intent_at - '31 s'::interval"
            )
            await world.push()
            [wish] = await world.work()
            assert wish["status"] == "done"
        await real_fp(name)

    monkeypatch.setattr(job, "fp", freeze)
    appointment = await world.book(calendar)
    await world.push()
    await world.wait()
    await world.push()
    assert stolen
    assert "POST 200" in await world.writes()
    assert await world.events() == []


async def test_a_stale_worker_writes_nothing(world, calendar) -> None:
    """Whose lease ran out before his call does not make it."""
    await world.book(calendar)
    worker = Worker(store.KIND, world.runtime.db, world.runtime, job.push_event)
    [claimed] = await worker._claim(1)
    await world.runtime.db.execute("UPDATE work SET lease_until = '2000-01-01'")
    outcome = await job.push_event(world.runtime, claimed)
    assert outcome.reason == "the lease has run out"
    assert await world.writes() == []


async def test_somebody_moves_our_event_and_we_move_it_too(world, calendar) -> None:
    """The change of ours wins, and nothing of it is lost to a stale etag."""
    appointment = await world.book(calendar)
    await world.push()
    [event] = await world.events()
    whole_day = {
        "start": {"date": "2027-03-04", "dateTime": None, "timeZone": None},
        "end": {"date": "2027-03-05", "dateTime": None, "timeZone": None},
        "recurrence": ["RRULE:FREQ=DAILY;COUNT=3"],
        "colorId": "7",
    }
    await world.google(f"PATCH events/{event['id']}", whole_day)
    await world.move(appointment, 4)
    await world.push()
    [after] = await world.events()
    assert after["start"]["dateTime"] == "2027-03-01T13:00:00Z"
    assert ("recurrence" in after, after["colorId"]) == (False, "7")
    assert await world.writes() == ["POST 200", "PATCH 412", "PATCH 200"]


async def test_drift_is_noted_and_restored_with_the_next_change(world, calendar) -> None:
    """Somebody's change of our event changes no appointment and starts no war of writers."""
    appointment = await world.book(calendar)
    await world.push()
    [event] = await world.events()
    await world.google(f"PATCH events/{event['id']}", {"summary": "Mine now"})
    await world.pull()
    await world.pull()
    assert await world.push() == 0
    assert [e["summary"] for e in await world.events()] == ["Mine now"]

    await world.change(appointment, appointment_status="showed")
    await world.push()
    assert [e["summary"] for e in await world.events()] == ["Ada and Bob"]
    assert (await world.writes())[0] == "POST 200"
    assert await world.announced("AppointmentUpdated") == []


@pytest.mark.parametrize("look", ["not", "changes", "all"])
async def test_a_deleted_event_comes_back_with_the_next_change(world, calendar, look) -> None:
    """Under another id, for Google never gives one twice; whether the deletion was seen or not."""
    appointment = await world.book(calendar)
    await world.push()
    await world.pull()
    await world.google(f"DELETE events/{appointment}1")
    if look != "not":
        if look == "all":
            await world.google("POST expire-sync-tokens", {})
        await world.pull()
        await world.change(appointment, appointment_status="showed")
    else:
        await world.move(appointment, 1)
    await world.push()
    assert [event["id"] for event in await world.events()] == [f"{appointment}2"]


async def test_what_does_not_show_is_not_written(world, calendar) -> None:
    """An update that changes nothing of the event makes no call; a link does."""
    appointment = await world.book(calendar)
    await world.push()
    await world.change(appointment, appointment_status="noshow")
    await world.push()
    assert await world.writes() == ["POST 200"]

    link = Meeting(provider="zoom", state="ready", join_url="https://zoom.example/j/1")
    await world.change(appointment, meeting=link)
    await world.push()
    [event] = await world.events()
    assert (event["location"], event["description"]) == (link.join_url, f"Join: {link.join_url}")
    assert await world.writes() == ["POST 200", "PATCH 200"]


async def test_duplicates_and_old_events_change_nothing(world, calendar) -> None:
    """The same again, or something older, is dropped by its number."""
    appointment = await world.book(calendar)
    booked = world.states[appointment]
    await world.move(appointment, 2)
    await world.tell(AppointmentUpdated, appointment)
    world.states[appointment] = booked
    await world.tell(AppointmentCreated, appointment)
    await world.push()
    assert await starts(world) == ["2027-03-01T11:00:00Z"]
    assert await world.writes() == ["POST 200"]


async def test_cancelled_while_google_is_down_leaves_nothing_to_do(world, calendar) -> None:
    """Booked, moved, cancelled before anything could be written: no call, no event."""
    appointment = await world.book(calendar)
    await world.move(appointment, 2)
    await world.cancel(appointment)
    await world.push()
    assert await world.writes() == []


async def test_a_rate_limit_closes_the_gate_for_the_user(world, calendar) -> None:
    """Google names a time: nothing else of this user is tried before it, and all of it after."""
    await world.fault(
        "status:429", method="POST", path="/events$", times=1, headers={"Retry-After": "30"}
    )
    for hour in range(3):
        await world.book(calendar, hour)
    assert await world.push() == 1
    wait = await world.runtime.db.fetchval("SELECT open_until - clock_timestamp() FROM circuit")
    assert 25 < wait.total_seconds() <= 30
    await world.wait()
    assert await world.push() == 3
    assert len(await world.events()) == 3


async def test_a_throttled_user_gets_everything_in_the_end(world, calendar) -> None:
    """Google's 403 without a time is waited out in growing steps."""
    await world.google("POST settings", {"user_per_minute": 4})
    for hour in range(6):
        await world.book(calendar, hour)
    await world.push()
    assert len(await world.events()) < 6
    world.pass_time(minutes=2)
    await world.wait()
    await world.google("POST settings", {"user_per_minute": 0})
    await world.push()
    assert len(await world.events()) == 6


async def test_a_spent_quota_parks_writes_and_not_reads(world, calendar) -> None:
    """For hours nothing may be written: one try an hour, while foreign events still block."""
    await world.google("POST settings", {"quota_exceeded": True})
    for hour in range(3):
        await world.book(calendar, hour)
    assert await world.push() == 1
    await world.foreign(20)
    await world.pull()
    assert await world.busy() == [(world.at(20), world.at(21))]
    await world.google("POST settings", {"quota_exceeded": False})
    await world.wait()
    await world.push()
    assert sum("hoopAppointment" in str(event) for event in await world.events()) == 3


async def test_a_token_that_has_run_out_is_refreshed(world, calendar) -> None:
    """An hour later, or when Google refuses it before its time: one refresh, and on it goes."""
    world.pass_time(hours=2)
    await world.book(calendar)
    await world.push()
    await world.fault("status:401", method="POST", path="/events$", times=1)
    await world.book(calendar, 3)
    await world.push()
    assert len(await world.events()) == 2
    assert len(await world.google("GET log?path=/token")) == 2


async def test_a_revoked_consent_waits_for_its_owner(world, calendar) -> None:
    """The connection says `reconnect_needed`; what is booked meanwhile is written after it."""
    await world.google("POST revoke", {"user": "ada@example.com"})
    world.pass_time(hours=2)
    await world.book(calendar)
    await world.push()
    states = await world.announced("ConnectionChanged")
    assert (states[-1]["status"], states[-1]["reason"]) == ("pending", "reconnect_needed")
    asked = await world.calls()
    await world.book(calendar, 2)
    await world.wait()
    await world.push()
    assert await world.calls() == asked

    await world.connect(calendar)
    await world.push()
    assert len(await world.events()) == 2


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("insufficientPermissions", "scope_missing"),
        ("requiredAccessLevel", "calendar_forbidden"),
        ("forbidden", "calendar_forbidden"),
    ],
)
async def test_a_permission_that_is_gone_is_said(world, calendar, reason, shown) -> None:
    """Trying again would not help: the connection waits for its owner, and says why."""
    body = {"error": {"code": 403, "errors": [{"domain": "global", "reason": reason}]}}
    await world.fault("status:403", method="POST", path="/events$", body=body)
    await world.book(calendar)
    await world.push()
    states = await world.announced("ConnectionChanged")
    assert (states[-1]["status"], states[-1]["reason"]) == ("pending", shown)


async def test_a_calendar_that_is_gone_is_said(world, calendar) -> None:
    """The connection waits for its owner; no booking fails because of it."""
    await world.fault("status:404", method="POST", path="/events$")
    await world.book(calendar)
    await world.push()
    states = await world.announced("ConnectionChanged")
    assert (states[-1]["status"], states[-1]["reason"]) == ("pending", "calendar_missing")


async def test_what_google_will_never_take_is_said_aloud(world, calendar) -> None:
    """Once for each state that fails; a newer state is tried again."""
    body = {"error": {"code": 400, "errors": [{"domain": "global", "reason": "invalid"}]}}
    fault = await world.fault("status:400", method="POST", path="/events$", body=body)
    appointment = await world.book(calendar)
    await world.push()
    await world.wait()
    assert await world.push() == 0
    [failed] = await world.announced("CalendarPushFailed")
    assert (failed["appointmentId"], failed["reason"]) == (appointment, "400 invalid")

    await world.google(f"DELETE faults/{fault}")
    await world.move(appointment, 2)
    await world.push()
    assert await starts(world) == ["2027-03-01T11:00:00Z"]


async def test_one_event_that_is_not_ours_to_change_is_said(world, calendar) -> None:
    """Somebody else organises it now: that is no reason to give the whole calendar up."""
    appointment = await world.book(calendar)
    await world.push()
    body = {"error": {"code": 403, "errors": [{"domain": "calendar", "reason": "forbidden"}]}}
    await world.fault("status:403", method="PATCH", body=body, times=1)
    await world.move(appointment, 2)
    await world.push()
    assert [f["reason"] for f in await world.announced("CalendarPushFailed")] == ["403 forbidden"]
    assert (await world.announced("ConnectionChanged"))[-1]["status"] == "active"

    await world.fault("status:403", method="DELETE", body=body, times=1)
    await world.cancel(appointment)
    await world.push()
    told = [failed["sequence"] for failed in await world.announced("CalendarPushFailed")]
    assert told == [1, 2]


async def test_no_new_token_for_a_while(world, calendar) -> None:
    """Google's token endpoint is down: nobody is disconnected, and all goes on after it."""
    await world.pull()
    world.pass_time(hours=2)
    await world.foreign(10)
    fault = await world.fault("status:500", method="POST", path="/token")
    await world.book(calendar)
    await world.push()
    await world.pull()
    assert (await world.announced("ConnectionChanged"))[-1]["status"] == "active"
    await world.google(f"DELETE faults/{fault}")
    await world.wait()
    await world.push()
    await world.pull()
    assert (len(await world.events()), len(await world.busy())) == (2, 1)


async def test_moved_to_another_calendar_the_event_moves_along(world) -> None:
    """Out of one person's Google into the other's, and back; never in both."""
    one, two = await world.calendar(), await world.calendar()
    await world.connect(one)
    await world.connect(two, user="bob@example.com")
    appointment = await world.book(one)
    await world.push()
    for there, owner in ((two, "bob@example.com"), (one, "ada@example.com")):
        await world.change(appointment, calendar_id=there)
        await world.push()
        assert [event["calendarId"] for event in await world.events()] == [owner]


async def test_two_calendars_in_one_google_calendar(world) -> None:
    """Both connected to the same account: an appointment that moves between them is there once."""
    one, two = await world.calendar(), await world.calendar()
    await world.connect(one)
    await world.connect(two)
    appointment = await world.book(one)
    await world.push()
    for there in (two, one, two):
        await world.change(appointment, calendar_id=there)
        await world.push()
        assert len(await world.events()) == 1


async def test_a_calendar_connected_later_is_filled(world) -> None:
    """With what is ahead; not with what is over, nor with what was cancelled."""
    calendar = await world.calendar()
    await world.book(calendar, -24 * 8)
    await world.cancel(await world.book(calendar, 3))
    for hour in (0, 5):
        await world.book(calendar, hour)
    await world.connect(calendar)
    await world.push()
    assert await starts(world) == ["2027-03-01T09:00:00Z", "2027-03-01T14:00:00Z"]


async def test_disconnected_means_no_call_ever(world, calendar) -> None:
    """What is in Google stays there, whatever becomes of the appointment."""
    appointment, other = await world.book(calendar), await world.book(calendar, 3)
    await world.push()
    [connection_id] = {row["subject"][27:] for row in await world.work()}
    await world.move(other, 6)
    await world.disconnect(connection_id)
    asked = await world.calls()
    await world.cancel(appointment)
    await world.push()
    await world.pull()
    assert await world.calls() == asked
    assert await starts(world) == ["2027-03-01T09:00:00Z", "2027-03-01T12:00:00Z"]


async def test_connected_again_finds_what_it_had_left(world, calendar) -> None:
    """The events of the earlier connection are taken over, brought up to date, and not doubled."""
    appointment, moved = await world.book(calendar), await world.book(calendar, 3)
    await world.push()
    [connection_id] = {row["subject"][27:] for row in await world.work()}
    await world.disconnect(connection_id)
    await world.move(moved, 6)
    await world.connect(calendar)
    await world.push()
    assert await starts(world) == ["2027-03-01T09:00:00Z", "2027-03-01T15:00:00Z"]
    await world.pull()
    assert await world.busy() == []

    await world.cancel(appointment)
    await world.push()
    assert await starts(world) == ["2027-03-01T15:00:00Z"]


async def test_an_erased_appointment_leaves_no_trace_here(world, calendar) -> None:
    """Its tombstone takes the last of it; its text is gone from Google before."""
    appointment = await world.book(calendar)
    await world.push()
    state = world.states[appointment]
    await world.change(appointment, personal=type(state.personal)())
    await world.push()
    assert [event["summary"] for event in await world.events()] == ["Appointment"]
    await world.cancel(appointment)
    await world.push()
    async with world.runtime.db.transaction() as db:
        await store.forget_appointment(db, appointment)
    for table in ("appointment", "work", "external"):
        rows = await world.runtime.db.fetch(f"SELECT * FROM {table}")
        assert not any(appointment in str(dict(row)) for row in rows)
