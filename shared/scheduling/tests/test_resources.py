"""Rooms and equipment: what a new session needs besides a host."""

import pytest
from slot_oracle.small_calendar import (
    ALL_WEEK,
    ELEVEN,
    MIDNIGHT,
    NINE,
    NOON,
    TEN,
    may_book_at,
    starts,
)

from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.without_one import ExcludedAppointment
from hoop_scheduling.zones import DAY, HOUR, MINUTE


def resource(name, kind="rooms", **fields):
    return {"id": name, "resourceType": kind, **fields}


def calendar(*resources, **fields):
    """Slots of an hour, on the hour, from nine to twelve, by Ada or Bob."""
    defaults = {
        "id": "cal",
        "teamMembers": [{"userId": "ada"}, {"userId": "bob"}],
        "openHours": ALL_WEEK,
        "slotDuration": 60,
        "slotInterval": 60,
    }
    return SlotRules.from_calendar(defaults | fields, "UTC", resources=resources)


ROOMS = (resource("red"), resource("blue"))


def test_a_session_gets_the_free_room_of_the_lowest_id():
    """Any room will do; the lowest id makes the choice deterministic."""
    rules = calendar(*ROOMS)

    assert may_book_at(rules, TEN).resources == ("blue",)
    assert may_book_at(rules, TEN, busy={"blue": Busy.of([(TEN, ELEVEN)])}).resources == ("red",)


@pytest.mark.parametrize(
    ("capacities", "seats", "rooms"),
    [
        ({"blue": 8, "red": 30}, 20, ("red",)),
        ({"blue": 8, "red": 12}, 12, ("red",)),
        ({"blue": 8, "red": 8}, 8, ("blue", "red")),
        ({"blue": 20, "red": 30}, 20, ("blue", "red")),
        ({"blue": 0}, 1, ("blue",)),
        ({}, 20, ()),
    ],
)
def test_a_session_has_as_many_seats_as_its_room_holds(capacities, seats, rooms):
    """Of a class of twenty: the largest room limits it, and smaller rooms are not used."""
    found = [resource(name, capacity=people) for name, people in capacities.items()]
    rules = calendar(*found, calendarType="class_booking", appoinmentPerSlot=20)
    assert (rules.capacity, rules.rooms) == (seats, rooms)


def test_without_a_free_room_nobody_can_book():
    """The reason distinguishes rooms from hosts."""
    rules = calendar(*ROOMS)
    busy = {room: Busy.of([(TEN, ELEVEN)]) for room in ("red", "blue")}

    assert starts(rules, busy=busy) == [9, 11]
    assert may_book_at(rules, TEN, busy=busy).reason == "no_resource"
    hosts = {host: Busy.of([(TEN, ELEVEN)]) for host in ("ada", "bob")}
    assert may_book_at(rules, TEN, busy=busy | hosts).reason == "busy"


def test_a_room_keeps_the_buffers_and_a_beamer_does_not():
    """A room is tidied between two appointments; equipment is handed on."""
    room, beamer = calendar(resource("red")), calendar(resource("beamer", "equipments"))
    padded = Busy.of([(TEN, ELEVEN, 0, 5 * MINUTE)])

    assert starts(room, busy={"red": padded}) == [9]
    assert starts(beamer, busy={"beamer": padded}) == [9, 11]


@pytest.mark.parametrize(
    ("units", "broken", "uses", "offered"),
    [
        (2, 0, [(TEN, ELEVEN)], [9, 10, 11]),
        (2, 0, [(TEN, ELEVEN), (TEN, ELEVEN)], [9, 11]),
        (2, 0, [(TEN, TEN + MINUTE), (ELEVEN - MINUTE, ELEVEN)], [9, 10, 11]),
        (2, 0, [(NINE, TEN), (TEN, ELEVEN), (TEN, ELEVEN - MINUTE)], [9, 11]),
        (2, 1, [(TEN, ELEVEN)], [9, 11]),
        (3, 0, [(NINE, NOON), (TEN, ELEVEN), (TEN, TEN)], [9, 10, 11]),
        (2, 2, [], []),
        (1, 2, [], []),
    ],
)
def test_equipment_is_counted(units, broken, uses, offered):
    """It is exhausted when all units in service are in use at one instant."""
    kit = resource("beamer", "equipments", quantity=units, outOfService=broken)

    assert starts(calendar(kit), busy={"beamer": Busy.of(uses)}) == offered


def test_one_of_each_equipment_and_one_room():
    """Named in that order; each missing one is in the way."""
    kit = [resource("screen", "equipments"), resource("beamer", "equipments"), *ROOMS]
    rules = calendar(*kit)

    assert may_book_at(rules, TEN).resources == ("blue", "beamer", "screen")
    for missing in ("screen", "beamer"):
        busy = {missing: Busy.of([(TEN, ELEVEN)])}
        assert may_book_at(rules, TEN, busy=busy).reason == "no_resource"


def test_joining_a_session_needs_no_further_room():
    """The class has one; a second class at the same time needs another."""
    rules = calendar(resource("red"), calendarType="class_booking", appoinmentPerSlot=5)
    busy = {owner: Busy.of([(TEN, ELEVEN)]) for owner in ("ada", "red")}
    joined = may_book_at(rules, TEN, busy=busy, seats={("ada", TEN): Seats(ELEVEN, 1)})

    assert (joined.hosts, joined.resources) == (("ada",), ())
    assert (
        may_book_at(rules, TEN, busy=busy, seats={("ada", TEN): Seats(ELEVEN, 5)}).reason == "full"
    )


def test_rescheduling_frees_the_room_of_the_last_to_leave():
    """As long as another appointment stays in the session, the room is busy."""
    rules = calendar(resource("red"), slotInterval=30, appoinmentPerSlot=2)
    busy = {owner: Busy.of([(TEN, ELEVEN)]) for owner in ("ada", "red")}
    moving = ExcludedAppointment("cal", ["ada"], TEN, ELEVEN, ["red"])

    alone = starts(rules, busy=busy, leave_out=moving, seats={("ada", TEN): Seats(ELEVEN, 1)})
    shared = starts(rules, busy=busy, leave_out=moving, seats={("ada", TEN): Seats(ELEVEN, 2)})

    assert alone == [9, 9.5, 10, 10.5, 11]
    assert shared == [9, 10, 11]


def test_ignoring_the_rules_does_not_put_two_into_one_room():
    """Buffers do not count, core times do."""
    rules = calendar(resource("red"))
    busy = {"red": Busy.of([(TEN, ELEVEN, HOUR, HOUR)])}

    assert may_book_at(rules, ELEVEN, busy=busy, ignore_rules=True).resources == ("red",)
    assert may_book_at(rules, ELEVEN - 1, busy=busy, ignore_rules=True).reason == "no_resource"


def test_resources_of_other_calendars_are_not_needed():
    """Nor are inactive ones."""
    off = resource("red", isActive=False)
    foreign = resource("blue", calendarIds=["other"])
    own = resource("green", calendarIds=["other", "cal"])

    assert (calendar(off, foreign).rooms, calendar(own).rooms) == ((), ("green",))


def test_schedules_of_other_calendars_are_ignored():
    """As resources of other calendars are."""
    rule = {"type": "date", "date": "2027-06-01", "intervals": [{"from": "09:00", "to": "10:00"}]}
    fields = {"id": "cal", "openHours": ALL_WEEK, "slotDuration": 60, "slotInterval": 60}
    plan = {"userId": None, "timezone": "UTC", "rules": [rule]}

    own = SlotRules.from_calendar(fields, "UTC", [plan | {"calendarIds": ["cal"]}])
    foreign = SlotRules.from_calendar(fields, "UTC", [plan | {"calendarIds": ["other"]}])

    assert (starts(own), starts(foreign)) == ([9], [9, 10, 11])


def test_a_percentage_is_at_most_a_hundred():
    """Look-busy counts only when it is enabled."""
    on = {"enabled": True, "LookBusyPercentage": 30}

    assert calendar(lookBusyConfig=on).look_busy == 30
    assert calendar(lookBusyConfig=on | {"enabled": False}).look_busy == 0
    with pytest.raises(ValueError, match="percentage"):
        calendar(lookBusyConfig=on | {"LookBusyPercentage": 101})


def test_joined_pieces_count_like_one_value():
    """Busy times in blocks of a month: sessions are found in their block, and removed from it."""
    rules = calendar(appoinmentPerSlot=2)
    ada = Busy.joined([Busy.of([(TEN + 40 * DAY, NOON + 40 * DAY)]), Busy.of([(TEN, ELEVEN)])])
    busy = {"ada": ada, "bob": Busy.of([(NINE, NOON)])}

    assert starts(rules, busy=busy, seats={("ada", TEN): Seats(ELEVEN, 1)}) == [9, 10, 11]
    assert starts(rules, busy=busy) == [9, 11]
    moving = ExcludedAppointment("other", ["ada", "bob"], TEN, ELEVEN)
    assert starts(rules, busy=busy, leave_out=moving) == [9, 10, 11]
    assert Busy.joined([ada]) is ada
    assert list(Busy.joined([]).rows()) == []
    assert starts(rules, busy={"ada": Busy.joined([])}, now=MIDNIGHT) == [9, 10, 11]
