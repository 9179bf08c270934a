"""Pushing while things fail: exactly one Google event for an appointment, none after its cancellation."""

import asyncio

import pytest

from hoop_events.booking import AppointmentCreated, AppointmentUpdated, Meeting
from hoop_platform import failpoints
from hoop_platform.reconcile import calls as job
from sync_google.handlers.appointments import on_appointment_tombstone
from sync_google.providers.google import calendar_api


@pytest.fixture
async def calendar(world):
    """A calendar whose Google calendar is empty."""
    calendar_id = await world.calendar()
    await world.connect(calendar_id)
    await world.google("POST reset", {"log": True})
    return calendar_id


async def starts(world) -> list[str]:
    return [event["start"]["dateTime"] for event in await world.events()]


@pytest.mark.parametrize(
    "where", ["google-event_intended", "google-event_created", "google-event_claimed"]
)
async def test_a_crash_around_the_call_creates_no_second_event(world, calendar, where) -> None:
    """The next attempt finds out by the id whether Google was called."""
    await world.book(calendar)
    failpoints.arm(f"{where}=raise")
    if where.endswith("claimed"):
        with pytest.raises(RuntimeError):
            await world.push()
        await world.runtime.db.execute("UPDATE work SET lease_until = clock_timestamp()")
    else:
        await world.push()
    await world.end_waits()
    await world.push()
    assert await starts(world) == ["2027-03-01T09:00:00Z"]
    expected = ["POST 200", "POST 409"] if where == "google-event_created" else ["POST 200"]
    assert await world.writes() == expected


@pytest.mark.parametrize(
    "fault", ["drop-after-commit", "commit-then-500", "truncate", "garbage", "drop", "status:503"]
)
async def test_a_lost_response_creates_no_second_event(world, calendar, fault) -> None:
    """Whether or not the call behind a broken response had its effect, one event exists in the end."""
    await world.fault(fault, method="POST", path="/events$", times=1)
    appointment = await world.book(calendar)
    await world.push()
    await world.end_waits()
    await world.push()
    assert [event["id"] for event in await world.events()] == [await world.event_id(appointment)]
    [desired] = await world.desired_states()
    assert desired["status"] == "done"


@pytest.mark.parametrize("status", [429, 503, 400])
async def test_a_repeated_create_that_is_refused_creates_no_second_event(
    world, calendar, status
) -> None:
    """The refusal says nothing about the first call, whose response was lost: its event is adopted."""
    await world.fault("drop-after-commit", method="POST", path="/events$", times=1)
    appointment = await world.book(calendar)
    await world.push()
    body = {"error": {"code": status, "errors": [{"reason": "other"}]}}
    await world.fault(f"status:{status}", method="POST", path="/events$", times=1, body=body)
    await world.end_waits()
    await world.push()
    await world.move(appointment, 1)
    await world.end_waits()
    await world.push()
    assert [event["id"] for event in await world.events()] == [await world.event_id(appointment)]
    assert await starts(world) == ["2027-03-01T10:00:00Z"]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_lost_response_to_a_change_is_harmless(world, calendar, method) -> None:
    """The event is read again, and written again only if the change had no effect."""
    appointment = await world.book(calendar)
    await world.push()
    await world.fault("drop-after-commit", method=method, times=1)
    await (world.move(appointment, 5) if method == "PATCH" else world.cancel(appointment))
    await world.push()
    await world.end_waits()
    await world.push()
    assert await starts(world) == (["2027-03-01T14:00:00Z"] if method == "PATCH" else [])


async def test_google_contradicts_itself_for_a_while(world, calendar) -> None:
    """409 for the id, but 404 for the event: the attempt is repeated, and no second event created."""
    await world.fault("drop-after-commit", method="POST", path="/events$", times=1)
    await world.fault("status:404", method="GET", path="/events/", times=3)
    appointment = await world.book(calendar)
    for _ in range(5):
        await world.push()
        assert (
            await world.runtime.db.fetch("SELECT * FROM circuit WHERE reason ~ 'contradict'") == []
        )
        await world.end_waits()
    assert [event["id"] for event in await world.events()] == [await world.event_id(appointment)]
    assert "POST 200" not in (await world.writes())[1:]


async def test_an_id_that_stays_taken_is_given_up(world, calendar) -> None:
    """409 for the id and 404 for the event for half a minute: the next generation is created."""
    await world.fault("status:409", method="POST", path="/events$", times=7)
    appointment = await world.book(calendar)
    for _ in range(8):
        await world.push()
        await world.end_waits()
    assert [event["id"] for event in await world.events()] == [await world.event_id(appointment, 2)]


async def test_google_hangs_while_the_appointment_is_cancelled(
    world, calendar, monkeypatch
) -> None:
    """A call that has its effect after our timeout is found, and its event deleted."""
    monkeypatch.setattr(calendar_api, "TIMEOUT", 0.3)
    await world.fault("slow:1", method="POST", path="/events$", times=1)
    appointment = await world.book(calendar)
    await world.push()
    await world.cancel(appointment)
    await world.end_waits()
    await world.push()
    [desired] = await world.desired_states()
    assert (desired["status"], "may still have its effect" in desired["last_error"]) == (
        "waiting",
        True,
    )

    await asyncio.sleep(1)  # the time that the simulated Google takes
    assert len(await world.events()) == 1
    await world.end_waits()
    await world.push()
    assert await world.events() == []


async def test_a_lost_call_without_effect_is_given_up_after_a_while(world, calendar) -> None:
    """Cancelled, and no event appeared within three timeouts: nothing is left to do."""
    await world.fault("drop", method="POST", path="/events$", times=1)
    appointment = await world.book(calendar)
    await world.push()
    await world.cancel(appointment)
    await world.push()
    await world.settle_calls()
    await world.end_waits()
    await world.push()
    [desired] = await world.desired_states()
    assert desired["status"] == "done"
    assert await world.events() == []


async def test_a_frozen_worker_that_continues_does_no_harm(world, calendar, monkeypatch) -> None:
    """The worker loses its lease between intent and call: the event it creates is found and deleted."""
    real_fp, frozen = job.fp, []

    async def freeze(name: str) -> None:
        if name == "google-event_intended" and not frozen:
            frozen.append(name)
            await world.runtime.db.execute("UPDATE work SET lease_until = '2000-01-01'")
            await world.cancel(appointment)
            await world.settle_calls()
            await world.push()
            [desired] = await world.desired_states()
            assert desired["status"] == "done"
        await real_fp(name)

    monkeypatch.setattr(job, "fp", freeze)
    appointment = await world.book(calendar)
    await world.push()
    await world.end_waits()
    await world.push()
    assert frozen
    assert "POST 200" in await world.writes()
    assert await world.events() == []


async def test_a_worker_without_its_lease_writes_nothing(world, calendar) -> None:
    """A worker whose lease has run out before the call does not call Google."""
    await world.book(calendar)
    claimed = await world.claim()
    await world.runtime.db.execute("UPDATE work SET lease_until = '2000-01-01'")
    outcome = await world.attempt(claimed)
    assert "the lease has run out" in outcome.reason
    assert await world.writes() == []


async def test_a_late_patch_of_a_worker_without_its_lease_is_undone(
    world, calendar, monkeypatch
) -> None:
    """What the event says is unknown then: the next attempt reads it, and writes the newest draft."""
    appointment = await world.book(calendar)
    await world.push()
    await world.move(appointment, 2)
    real_patch, late = calendar_api.CalendarApi.patch_event, []

    async def lose_the_lease(*arguments, **more):
        written = await real_patch(*arguments, **more)
        if not late:
            late.append(written)
            await world.runtime.db.execute("UPDATE work SET lease_until = '2000-01-01'")
            await world.move(appointment, 4)
            await world.push()
            assert await starts(world) == ["2027-03-01T13:00:00Z"]
            edges = {key: written.fields[key] for key in ("start", "end")}
            await world.google(f"PATCH events/{await world.event_id(appointment)}", edges)
        return written

    monkeypatch.setattr(calendar_api.CalendarApi, "patch_event", lose_the_lease)
    await world.push()
    [content] = await world.runtime.db.fetch("SELECT content, state FROM external")
    assert late
    assert await starts(world) == ["2027-03-01T13:00:00Z"]
    assert (content["state"], content["content"]["start"]) == ("live", "2027-03-01T13:00:00+00:00")


async def test_somebody_moves_our_event_and_we_move_it_too(world, calendar) -> None:
    """Our change wins: after the 412 for the old etag the event is read and written again."""
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
    """Another person's change of our event changes no appointment, and is not undone at once."""
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


@pytest.mark.parametrize("poll", ["not", "changes", "all"])
async def test_a_deleted_event_comes_back_with_the_next_change(world, calendar, poll) -> None:
    """Under another id, since Google never frees one; whether the deletion was listed or not."""
    appointment = await world.book(calendar)
    await world.push()
    await world.pull()
    await world.google(f"DELETE events/{await world.event_id(appointment)}")
    if poll != "not":
        if poll == "all":
            await world.google("POST expire-sync-tokens", {})
        await world.pull()
        await world.change(appointment, appointment_status="showed")
    else:
        await world.move(appointment, 1)
    await world.push()
    assert [event["id"] for event in await world.events()] == [await world.event_id(appointment, 2)]


async def test_an_unchanged_event_is_not_written(world, calendar) -> None:
    """An update of the appointment that leaves the draft as it is makes no call; a link does."""
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
    """Events whose sequence is not newer are ignored."""
    appointment = await world.book(calendar)
    booked = world.states[appointment]
    await world.move(appointment, 2)
    await world.handle(AppointmentUpdated, appointment)
    world.states[appointment] = booked
    await world.handle(AppointmentCreated, appointment)
    await world.push()
    assert await starts(world) == ["2027-03-01T11:00:00Z"]
    assert await world.writes() == ["POST 200"]


async def test_cancelled_while_google_is_down_leaves_nothing_to_do(world, calendar) -> None:
    """Booked, moved and cancelled before the first push: no call, no event."""
    appointment = await world.book(calendar)
    await world.move(appointment, 2)
    await world.cancel(appointment)
    await world.push()
    assert await world.writes() == []


async def test_a_rate_limit_opens_the_circuit_of_the_user(world, calendar) -> None:
    """Nothing else of this Google user is tried before `Retry-After` is over; then everything is."""
    await world.fault(
        "status:429", method="POST", path="/events$", times=1, headers={"Retry-After": "30"}
    )
    for hour in range(3):
        await world.book(calendar, hour)
    assert await world.push() == 1
    wait = await world.runtime.db.fetchval("SELECT open_until - clock_timestamp() FROM circuit")
    assert 25 < wait.total_seconds() <= 30
    await world.end_waits()
    assert await world.push() == 3
    assert len(await world.events()) == 3


async def test_a_throttled_user_gets_everything_in_the_end(world, calendar) -> None:
    """403 without `Retry-After`: the attempts are repeated after growing waits."""
    await world.google("POST settings", {"user_per_minute": 4})
    for hour in range(6):
        await world.book(calendar, hour)
    await world.push()
    assert len(await world.events()) < 6
    world.pass_time(minutes=2)
    await world.end_waits()
    await world.google("POST settings", {"user_per_minute": 0})
    await world.push()
    assert len(await world.events()) == 6


async def test_an_exceeded_quota_stops_writes_but_not_reads(world, calendar) -> None:
    """One attempt to write per hour, while foreign events are still pulled."""
    await world.google("POST settings", {"quota_exceeded": True})
    for hour in range(3):
        await world.book(calendar, hour)
    assert await world.push() == 1
    await world.foreign(20)
    await world.pull()
    assert await world.busy() == [(world.at(20), world.at(21))]
    await world.google("POST settings", {"quota_exceeded": False})
    await world.end_waits()
    await world.push()
    assert sum("hoopAppointment" in str(event) for event in await world.events()) == 3


async def test_an_expired_token_is_refreshed(world, calendar) -> None:
    """After an hour, or when Google refuses the token earlier: one refresh, then the call again."""
    world.pass_time(hours=2)
    await world.book(calendar)
    await world.push()
    await world.fault("status:401", method="POST", path="/events$", times=1)
    await world.book(calendar, 3)
    await world.push()
    assert len(await world.events()) == 2
    assert len(await world.google("GET log?path=/token")) == 2


async def test_a_revoked_consent_waits_for_its_owner(world, calendar) -> None:
    """The connection shows `reconnect_needed`; appointments are written after reconnecting."""
    await world.google("POST revoke", {"user": "ada@example.com"})
    world.pass_time(hours=2)
    await world.book(calendar)
    await world.push()
    states = await world.announced("ConnectionChanged")
    assert (states[-1]["status"], states[-1]["reason"]) == ("pending", "reconnect_needed")
    calls = await world.calls()
    await world.book(calendar, 2)
    await world.end_waits()
    await world.push()
    assert await world.calls() == calls
    states = await world.desired_states()
    assert {(row["status"], row["last_error"]) for row in states} == {("failed", "not connected")}

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
async def test_a_lost_permission_is_announced(world, calendar, reason, shown) -> None:
    """The connection becomes `pending` with the reason, for only its owner can restore access."""
    body = {"error": {"code": 403, "errors": [{"domain": "global", "reason": reason}]}}
    await world.fault("status:403", method="POST", path="/events$", body=body)
    await world.book(calendar)
    await world.push()
    states = await world.announced("ConnectionChanged")
    assert (states[-1]["status"], states[-1]["reason"]) == ("pending", shown)


async def test_a_missing_calendar_is_announced(world, calendar) -> None:
    """404 for the Google calendar: the connection becomes `pending`; no booking fails."""
    await world.fault("status:404", method="POST", path="/events$")
    await world.book(calendar)
    await world.push()
    states = await world.announced("ConnectionChanged")
    assert (states[-1]["status"], states[-1]["reason"]) == ("pending", "calendar_missing")


async def test_a_rejected_event_is_announced(world, calendar) -> None:
    """`CalendarPushFailed` once for each state that fails; a newer state is tried again."""
    body = {"error": {"code": 400, "errors": [{"domain": "global", "reason": "invalid"}]}}
    fault = await world.fault("status:400", method="POST", path="/events$", body=body)
    appointment = await world.book(calendar)
    await world.push()
    await world.end_waits()
    assert await world.push() == 0
    [failed] = await world.announced("CalendarPushFailed")
    assert (failed["appointmentId"], failed["reason"]) == (appointment, "400 invalid")

    await world.google(f"DELETE faults/{fault}")
    await world.move(appointment, 2)
    await world.push()
    assert await starts(world) == ["2027-03-01T11:00:00Z"]


async def test_an_event_that_we_may_not_change_is_announced(world, calendar) -> None:
    """`forbidden` for one event (it has another organizer): the connection stays active."""
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
    sequences = [failed["sequence"] for failed in await world.announced("CalendarPushFailed")]
    assert sequences == [1, 2]


async def test_a_state_that_fails_again_is_announced_once(world, calendar) -> None:
    """Connecting again tries the failed state again; a newer state that fails is announced."""
    body = {"error": {"code": 400, "errors": [{"domain": "global", "reason": "invalid"}]}}
    await world.fault("status:400", method="POST", path="/events$", body=body)
    appointment = await world.book(calendar)
    await world.push()
    await world.connect(calendar)
    assert await world.push() == 1
    assert [f["sequence"] for f in await world.announced("CalendarPushFailed")] == [1]
    await world.move(appointment, 1)
    await world.push()
    assert [f["sequence"] for f in await world.announced("CalendarPushFailed")] == [1, 2]


async def test_the_token_endpoint_is_down(world, calendar) -> None:
    """The connection stays active, and everything continues once tokens can be refreshed again."""
    await world.pull()
    world.pass_time(hours=2)
    await world.foreign(10)
    fault = await world.fault("status:500", method="POST", path="/token")
    await world.book(calendar)
    await world.push()
    await world.pull()
    assert (await world.announced("ConnectionChanged"))[-1]["status"] == "active"
    await world.google(f"DELETE faults/{fault}")
    await world.end_waits()
    await world.push()
    await world.pull()
    assert (len(await world.events()), len(await world.busy())) == (2, 1)


async def test_an_appointment_moves_to_another_calendar(world) -> None:
    """The event moves from one person's Google calendar to the other's and back; never in both."""
    one, two = await world.calendar(), await world.calendar()
    await world.connect(one)
    await world.connect(two, user="bob@example.com")
    appointment = await world.book(one)
    await world.push()
    for calendar_id, owner in ((two, "bob@example.com"), (one, "ada@example.com")):
        await world.change(appointment, calendar_id=calendar_id)
        await world.push()
        assert [event["calendarId"] for event in await world.events()] == [owner]


async def test_two_calendars_in_one_google_calendar(world) -> None:
    """Both connected to the same Google account: a moved appointment has one event there."""
    one, two = await world.calendar(), await world.calendar()
    await world.connect(one)
    await world.connect(two)
    appointment = await world.book(one)
    await world.push()
    for calendar_id in (two, one, two):
        await world.change(appointment, calendar_id=calendar_id)
        await world.push()
        assert len(await world.events()) == 1


async def test_a_calendar_connected_later_is_filled(world) -> None:
    """Appointments ahead are written; past and cancelled ones are not."""
    calendar = await world.calendar()
    await world.book(calendar, -24 * 8)
    await world.cancel(await world.book(calendar, 3))
    for hour in (0, 5):
        await world.book(calendar, hour)
    await world.connect(calendar)
    await world.push()
    assert await starts(world) == ["2027-03-01T09:00:00Z", "2027-03-01T14:00:00Z"]


async def test_disconnected_means_no_further_call(world, calendar) -> None:
    """The events in Google stay there, also when the appointment is changed or cancelled."""
    appointment, other = await world.book(calendar), await world.book(calendar, 3)
    await world.push()
    [connection_id] = {row["subject"][27:] for row in await world.desired_states()}
    await world.move(other, 6)
    await world.disconnect(connection_id)
    calls = await world.calls()
    await world.cancel(appointment)
    await world.push()
    await world.pull()
    assert await world.calls() == calls
    assert await starts(world) == ["2027-03-01T09:00:00Z", "2027-03-01T12:00:00Z"]


async def test_connected_again_adopts_its_events(world, calendar) -> None:
    """The events of the earlier connection are adopted and brought up to date, not created again."""
    appointment, moved = await world.book(calendar), await world.book(calendar, 3)
    await world.push()
    [connection_id] = {row["subject"][27:] for row in await world.desired_states()}
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


async def test_an_erased_appointment_leaves_no_row(world, calendar) -> None:
    """The tombstone deletes all rows; the texts in Google were overwritten before."""
    appointment = await world.book(calendar)
    await world.push()
    state = world.states[appointment]
    await world.change(appointment, personal=type(state.personal)())
    await world.push()
    assert [event["summary"] for event in await world.events()] == ["Appointment"]
    await world.cancel(appointment)
    await world.push()
    async with world.runtime.db.transaction() as db:
        await on_appointment_tombstone(db, appointment)
    for table in ("appointment", "work", "external"):
        rows = await world.runtime.db.fetch(f"SELECT * FROM {table}")
        assert not any(appointment in str(dict(row)) for row in rows)
