"""Free slots as clients see them: a running service that hears what booking announces."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from availability.__main__ import service
from availability.api import FreeSlots
from hoop_events.base import Gone
from hoop_events.booking import AppointmentCreated, AppointmentDeleted, Hold, HoldChanged
from hoop_events.calendars import (
    BlockSlot,
    BlockSlotChanged,
    BlockSlotDeleted,
    CalendarChanged,
    CalendarDeleted,
    Interval,
    Resource,
    ResourceChanged,
    ResourceDeleted,
    Schedule,
    ScheduleChanged,
    ScheduleDeleted,
    ScheduleRule,
)
from hoop_platform import consistency_token
from hoop_platform.ids import new_id
from hoop_scheduling.zones import epoch_ms
from local.testing.client import Client
from local.testing.events import publish
from local.testing.polling import eventually
from local.testing.service import running
from local.testing.tenant import Tenant

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # 09:00 in New York
START, END = epoch_ms(MONDAY), epoch_ms(MONDAY + timedelta(hours=8))
A_DAY = 86_400_000
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
OPEN_MONDAY = [
    {
        "daysOfTheWeek": [1],
        "hours": [{"openHour": 9, "openMinute": 0, "closeHour": 12, "closeMinute": 0}],
    }
]
NINE, HALF_PAST = "2027-03-01T09:00:00-05:00", "2027-03-01T09:30:00-05:00"


async def test_a_slot_goes_and_comes_back(new_database, kafka_bootstrap, calendar, appointment):
    """Open → booked → deleted, as events say; a strange account sees no calendar; a deleted one is gone."""
    tenant, stranger = Tenant(), Tenant()
    host = tenant.user_ids[0]
    offer = calendar(new_id(), [host])
    mine = appointment(new_id(), offer.id, host, session=new_id(), start=MONDAY)
    gone = mine.model_copy(update={"sequence": 2, "occupies": False, "deleted": True})
    who = {"account_id": tenant.account_id}
    path = f"/calendars/{offer.id}/free-slots"
    query = {"startDate": str(START), "endDate": str(END)}
    database = await new_database("availability")
    async with (
        running(service, database=database, kafka_bootstrap=kafka_bootstrap) as (base_url, _),
        Client(base_url, tenant.api_key) as ask,
        Client(base_url, stranger.api_key) as other,
    ):

        async def slots():
            answer = await ask("GET", path, query=query)
            return answer.told.get("2027-03-01", {}).get("slots") if answer.status == 200 else None

        async def first(expected):
            return (await slots() or [None])[0] == expected

        await publish(
            kafka_bootstrap,
            *tenant.events,
            *stranger.events,
            CalendarChanged(**who, state=offer),
        )
        await eventually(lambda: first(NINE), within=20)
        await publish(kafka_bootstrap, AppointmentCreated(**who, state=mine))
        await eventually(lambda: first(HALF_PAST))
        await publish(kafka_bootstrap, AppointmentDeleted(**who, state=gone))
        await eventually(lambda: first(NINE))
        foreign, unknown = [
            await other("GET", f"/calendars/{one}/free-slots", query=query)
            for one in (offer.id, new_id())
        ]
        assert (foreign.status, foreign.told) == (unknown.status, unknown.told)
        assert foreign.status == 404
        off = offer.model_copy(
            update={"sequence": 2, "settings": {**offer.settings, "isActive": False}}
        )
        await publish(kafka_bootstrap, CalendarChanged(**who, state=off))

        async def told(status, code):
            answer = await ask("GET", path, query=query)
            return (answer.status, answer.body.get("code")) == (status, code)

        await eventually(lambda: told(400, "calendar_inactive"))
        end = Gone(id=offer.id, sequence=3)
        await publish(kafka_bootstrap, CalendarDeleted(**who, state=end))
        await eventually(lambda: told(404, "not_found"))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (START, START),
        (START, START - 1),
        (-1, START),
        (START, START + 31 * A_DAY + 1),
        (10**20, 10**20 + 1),
        ("x", START),
        ("1.5", START),
    ],
)
def test_ranges_that_are_refused(start, end):
    """Empty, backwards, before 1970, longer than 31 days, after 2199, or no whole numbers."""
    with pytest.raises(ValidationError):
        FreeSlots.model_validate({"startDate": start, "endDate": end})


def test_31_days_are_allowed():
    asked = FreeSlots.model_validate({"startDate": str(START), "endDate": str(START + 31 * A_DAY)})
    assert asked.end_date - asked.start_date == 31 * A_DAY


@pytest.mark.parametrize("zone", ["US/Eastern", "Asia/Calcutta", "UTC", "Europe/Kiev"])
def test_old_names_of_zones_are_allowed(zone):
    """A link in the IANA database is as good as what it points to."""
    FreeSlots.model_validate({"startDate": START, "endDate": END, "timezone": zone})


@pytest.mark.parametrize("zone", ["localtime", "posixrules", "right/UTC", "../UTC", "", "UTC+3"])
def test_other_zones_are_refused(zone):
    with pytest.raises(ValidationError):
        FreeSlots.model_validate({"startDate": START, "endDate": END, "timezone": zone})


@pytest.mark.parametrize(
    ("said", "users"),
    [
        ({}, None),
        ({"userId": "a"}, ("a",)),
        ({"userIds": ["a", "b"]}, ("a", "b")),
        ({"userIds": ["a"], "userId": "b"}, ("a", "b")),
    ],
)
def test_whose_slots_are_asked_for(said, users):
    """Nobody named: the team. Both parameters together name all of them."""
    asked = FreeSlots.model_validate({"startDate": START, "endDate": END, **said})
    assert asked.users == users


async def ready(bootstrap, tenant, *events):
    await publish(bootstrap, *tenant.events, *events)


async def test_what_else_can_be_asked(new_database, kafka_bootstrap, calendar, appointment):
    """Ranges with ends, seats and users; why a day is empty; as if an appointment were gone."""
    tenant = Tenant()
    host = tenant.user_ids[0]
    offer = calendar(new_id(), [host], appoinmentPerSlot=3, openHours=OPEN_MONDAY)
    mine = appointment(new_id(), offer.id, host, session=new_id(), start=MONDAY)
    who, path = {"account_id": tenant.account_id}, f"/calendars/{offer.id}/free-slots"
    query = {"startDate": str(START), "endDate": str(START + 2 * A_DAY)}
    database = await new_database("availability")
    async with (
        running(service, database=database, kafka_bootstrap=kafka_bootstrap) as (base_url, _),
        Client(base_url, tenant.api_key) as ask,
    ):
        await ready(
            kafka_bootstrap,
            tenant,
            CalendarChanged(**who, state=offer),
            AppointmentCreated(**who, state=mine),
        )

        async def ranges(**more):
            answer = await ask("GET", path, query={**query, "format": "range", **more})
            return answer.told.get("2027-03-01", {}).get("slots", [])

        async def first(seats, **more):
            found = await ranges(**more)
            return found and found[0]["start"] == NINE and found[0]["seatsLeft"] == seats

        await eventually(lambda: first(2), within=20)
        assert (await ranges())[0] == {
            "start": NINE,
            "end": HALF_PAST,
            "seatsLeft": 2,
            "userIds": [host],
        }
        assert await first(3, excludeEventId=mine.id)
        answer = await ask("GET", path, query={**query, "explain": "true"})
        assert answer.told["explain"]["2027-03-02"] == "closed"
        assert "2027-03-01" not in answer.told["explain"]
        for strange in (new_id(), "x"):
            answer = await ask("GET", path, query={**query, "excludeEventId": strange})
            assert (answer.status, answer.body["code"]) == (404, "not_found")
        answer = await ask("GET", path, query={**query, "format": "ranges"})
        assert answer.status == 422


async def test_no_answer_is_older_than_its_token(
    new_database, kafka_bootstrap, calendar, appointment
):
    """What the token names is waited for; what does not come in time is said to be stale."""
    tenant = Tenant()
    host = tenant.user_ids[0]
    offer = calendar(new_id(), [host])
    who, path = {"account_id": tenant.account_id}, f"/calendars/{offer.id}/free-slots"
    query = {"startDate": str(START), "endDate": str(END)}
    database = await new_database("availability")
    async with (
        running(service, database=database, kafka_bootstrap=kafka_bootstrap) as (base_url, _),
        Client(base_url, tenant.api_key) as ask,
    ):
        await ready(kafka_bootstrap, tenant, CalendarChanged(**who, state=offer))

        async def known():
            return (await ask("GET", path, query=query)).status == 200

        await eventually(known, within=20)
        for version in range(1, 6):
            state = appointment(
                new_id(),
                offer.id,
                host,
                session=new_id(),
                start=MONDAY + timedelta(minutes=30 * version),
                versions={host: version, offer.id: version},
            )
            await publish(kafka_bootstrap, AppointmentCreated(**who, state=state))
            token = consistency_token.encode(state.versions)

            async def fresh(token=token):
                answer = await ask("GET", path, query=query, headers={"X-Read-Token": token})
                return None if "X-Stale" in answer.headers else answer

            answer = await eventually(fresh, within=20)
            shown = state.start_time.astimezone(ZoneInfo("America/New_York")).isoformat()
            assert shown not in answer.told["2027-03-01"]["slots"]
            assert consistency_token.decode(answer.headers["X-Read-Token"]) == state.versions
        future = consistency_token.encode({host: 1000})
        answer = await ask("GET", path, query=query, headers={"X-Read-Token": future})
        assert (answer.status, answer.headers["X-Stale"]) == (200, "true")
        answer = await ask("GET", path, query=query, headers={"X-Read-Token": "rubbish!"})
        assert answer.status == 400


async def test_holds_blocks_schedules_and_rooms_count(new_database, kafka_bootstrap, calendar):
    """A hold takes its time until it expires, a block slot takes it, a schedule opens, a room closes."""
    tenant = Tenant()
    host = tenant.user_ids[0]
    offer = calendar(new_id(), [host])
    who, path = {"account_id": tenant.account_id}, f"/calendars/{offer.id}/free-slots"
    query = {"startDate": str(START), "endDate": str(END)}
    when = {"date_added": MONDAY, "date_updated": MONDAY}
    common = {"sequence": 1, "version": 1, "location_id": offer.location_id}
    half = timedelta(minutes=30)

    def hold(start, expires_at):
        state = Hold(
            id=new_id(),
            sequence=1,
            calendar_id=offer.id,
            location_id=offer.location_id,
            start_time=start,
            end_time=start + half,
            time_zone="UTC",
            session=new_id(),
            hosts=(host,),
            expires_at=expires_at,
        )
        return HoldChanged(**who, state=state)

    block = BlockSlot(
        id=new_id(),
        calendar_id=offer.id,
        user_id=None,
        start_time=MONDAY + 2 * half,
        end_time=MONDAY + 3 * half,
        **common,
        **when,
    )
    room = Resource(
        id=new_id(), resource_type="rooms", name="R", calendar_ids=(offer.id,), **common, **when
    )
    closed = BlockSlot(
        id=new_id(),
        calendar_id=None,
        user_id=None,
        resource_id=room.id,
        start_time=MONDAY + 3 * half,
        end_time=MONDAY + 4 * half,
        **common,
        **when,
    )
    hours = ScheduleRule(
        type="wday", day="monday", intervals=(Interval(from_="08:30", to="12:00"),)
    )
    schedule = Schedule(
        id=new_id(),
        user_id=host,
        name="S",
        timezone="America/New_York",
        rules=(hours,),
        calendar_ids=(offer.id,),
        **common,
        **when,
    )
    database = await new_database("availability")
    async with (
        running(service, database=database, kafka_bootstrap=kafka_bootstrap) as (base_url, _),
        Client(base_url, tenant.api_key) as ask,
    ):
        await ready(kafka_bootstrap, tenant, CalendarChanged(**who, state=offer))

        async def times():
            answer = await ask("GET", path, query={**query, "startDate": str(START - 3_600_000)})
            slots = answer.told["2027-03-01"]["slots"] if answer.status == 200 else []
            return [slot[11:16] for slot in slots]

        async def shown(*expected):
            return tuple(await times()) == expected

        await eventually(
            lambda: shown("09:00", "09:30", "10:00", "10:30", "11:00", "11:30"), within=20
        )
        soon = datetime.now(UTC) + timedelta(seconds=2)  # noqa: TID251 -- as the service's clock has it
        await publish(kafka_bootstrap, hold(MONDAY, soon), hold(MONDAY + half, LONG_AGO))
        await eventually(lambda: shown("09:30", "10:00", "10:30", "11:00", "11:30"))
        await eventually(lambda: shown("09:00", "09:30", "10:00", "10:30", "11:00", "11:30"))
        await publish(kafka_bootstrap, BlockSlotChanged(**who, state=block))
        await eventually(lambda: shown("09:00", "09:30", "10:30", "11:00", "11:30"))
        await publish(
            kafka_bootstrap,
            ResourceChanged(**who, state=room),
            BlockSlotChanged(**who, state=closed),
        )
        await eventually(lambda: shown("09:00", "09:30", "11:00", "11:30"))
        await publish(kafka_bootstrap, ScheduleChanged(**who, state=schedule))
        await eventually(lambda: shown("08:30", "09:00", "09:30", "11:00", "11:30"))
        ends = [Gone(id=block.id, sequence=2), Gone(id=room.id, sequence=2)]
        await publish(
            kafka_bootstrap,
            BlockSlotDeleted(**who, state=ends[0]),
            ResourceDeleted(**who, state=ends[1]),
            ScheduleDeleted(**who, state=Gone(id=schedule.id, sequence=2)),
        )
        await eventually(lambda: shown("09:00", "09:30", "10:00", "10:30", "11:00", "11:30"))
