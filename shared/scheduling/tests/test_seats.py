"""Sessions with several seats: joining, leaving, and what closes them."""

from slot_oracle.small_calendar import (
    ELEVEN,
    MIDNIGHT,
    NINE,
    NOON,
    TEN,
    TODAY,
    calendar,
    may_book_at,
    starts,
)

from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.listing import free_slots
from hoop_scheduling.without_one import ExcludedAppointment
from hoop_scheduling.zones import DAY, HOUR, MINUTE


def test_a_session_sells_its_seats_at_its_own_start_only():
    """The host is busy with that session; other starts stay closed, the last seat closes it."""
    rules = calendar("ada", kind="class_booking", appoinmentPerSlot=10, slotInterval=30)
    busy = {"ada": Busy.of([(TEN, ELEVEN)])}

    nine_taken = {"seats": {("ada", TEN): Seats(ELEVEN, 9)}, "busy": busy}
    ten_taken = {"seats": {("ada", TEN): Seats(ELEVEN, 10)}, "busy": busy}

    assert starts(rules, **nine_taken) == [9, 10, 11]
    assert starts(rules, **ten_taken) == [9, 11]
    assert may_book_at(rules, TEN, **ten_taken).reason == "full"


def test_a_calendar_without_members_sells_seats_as_well():
    """It is its own host, under whose id its sessions are busy times."""
    rules = calendar(kind="event", appoinmentPerSlot=2)
    occupancy = {
        "busy": {"cal": Busy.of([(TEN, ELEVEN)])},
        "seats": {("cal", TEN): Seats(ELEVEN, 1)},
    }

    assert starts(rules, **occupancy) == [9, 10, 11]
    assert may_book_at(rules, TEN, **occupancy).hosts == ("cal",)


def test_seats_left_are_those_of_all_eligible_hosts():
    """One host with an open session, one free: the seats of both."""
    rules = calendar("ada", "bob", kind="class_booking", appoinmentPerSlot=5)
    seats, busy = {("ada", TEN): Seats(ELEVEN, 2)}, {"ada": Busy.of([(TEN, ELEVEN)])}

    slots = free_slots(rules, busy=busy, seats=seats, window=(TEN, ELEVEN), now=MIDNIGHT)

    assert [(slot.end, slot.hosts, slot.seats_left) for slot in slots] == [
        (ELEVEN, ("ada", "bob"), 8)
    ]


def test_a_foreign_event_on_a_class_closes_it_even_at_the_same_time():
    """Of two equal busy times only one is the class itself."""
    rules = calendar("ada", appoinmentPerSlot=5)
    seats = {("ada", TEN): Seats(ELEVEN, 1)}

    for foreign in [(TEN, ELEVEN), (NINE, TEN + 1), (ELEVEN - 1, NOON)]:
        lesson = [(TEN, ELEVEN)]
        for busy in ({"ada": [*lesson, foreign]}, {"ada": lesson, "cal": [foreign]}):
            occupancy = {owner: Busy.of(rows) for owner, rows in busy.items()}
            assert 10 not in starts(rules, busy=occupancy, seats=seats)
            assert may_book_at(rules, TEN, busy=occupancy, seats=seats).reason == "busy"


def test_new_buffers_do_not_close_existing_sessions():
    """Joining a session takes a seat, not time."""
    rules = calendar("ada", appoinmentPerSlot=5, slotBuffer=30, preBuffer=30)
    busy = {"ada": Busy.of([(NINE, TEN), (TEN, ELEVEN)])}
    seats = {("ada", NINE): Seats(TEN, 1), ("ada", TEN): Seats(ELEVEN, 1)}

    assert starts(rules, busy=busy, seats=seats) == [9, 10]


def test_a_class_fills_its_open_session_first():
    """A round robin with seats spreads instead."""
    seats, busy = {("bob", TEN): Seats(ELEVEN, 1)}, {"bob": Busy.of([(TEN, ELEVEN)])}
    occupancy = {"seats": seats, "busy": busy}

    lessons = calendar("ada", "bob", kind="class_booking", appoinmentPerSlot=5)
    rounds = calendar("ada", "bob", appoinmentPerSlot=5)

    assert may_book_at(lessons, TEN, **occupancy).hosts == ("bob", "ada")
    assert may_book_at(rounds, TEN, **occupancy).hosts == ("ada", "bob")


def test_a_collective_session_needs_all_hosts():
    """A member who was added later and is not in the session keeps it closed."""
    rules = calendar("ada", "bob", kind="collective", appoinmentPerSlot=3)
    both = {host: Busy.of([(TEN, ELEVEN)]) for host in ("ada", "bob")}
    seats = {(host, TEN): Seats(ELEVEN, 1) for host in both}

    slots = free_slots(rules, busy=both, seats=seats, window=(TEN, TEN + 1), now=MIDNIGHT)

    assert [slot.seats_left for slot in slots] == [2]
    assert starts(rules, busy={"ada": both["ada"]}, seats={("ada", TEN): seats["ada", TEN]}) == [
        9,
        11,
    ]


def test_leaving_a_class_frees_one_seat_and_not_the_host():
    """The other appointments stay; a full class has a seat again."""
    rules = calendar("ada", kind="class_booking", appoinmentPerSlot=2, slotInterval=30)
    occupancy = {
        "busy": {"ada": Busy.of([(TEN, ELEVEN)])},
        "seats": {("ada", TEN): Seats(ELEVEN, 2)},
    }

    assert starts(rules, **occupancy) == [9, 11]
    assert starts(
        rules, leave_out=ExcludedAppointment("cal", ["ada"], TEN, ELEVEN), **occupancy
    ) == [
        9,
        10,
        11,
    ]


def test_sessions_at_other_times_do_not_matter():
    """Nor do sessions off the grid, except that their host is busy."""
    rules = calendar("ada", appoinmentPerSlot=5)
    half_past = TEN + HOUR // 2
    seats = {("ada", half_past): Seats(half_past + HOUR, 1), ("ada", TEN + DAY): Seats(NOON, 1)}

    busy = {"ada": Busy.of([(half_past, half_past + HOUR)])}

    assert starts(rules, busy=busy, seats=seats) == [9]


def test_a_session_shorter_than_the_present_duration_cannot_be_joined():
    """The calendar's duration was changed since; a longer session can be joined."""
    rules, busy = calendar("ada", appoinmentPerSlot=5), {"ada": Busy.of([(TEN, ELEVEN - MINUTE)])}

    short = {("ada", TEN): Seats(ELEVEN - MINUTE, 1)}
    long = {("ada", TEN): Seats(ELEVEN + MINUTE, 1)}

    assert starts(rules, busy=busy, seats=short) == [9, 11]
    assert starts(rules, busy={"ada": Busy.of([(TEN, ELEVEN + MINUTE)])}, seats=long) == [9, 10]


def test_seats_of_a_session_follow_the_rules_of_today():
    """On a full day, or outside of the present hours, no session can be joined."""
    rules = calendar("ada", appoinmentPerSlot=5, appoinmentPerDay=3)
    occupancy = {
        "busy": {"ada": Busy.of([(TEN, ELEVEN)])},
        "seats": {("ada", TEN): Seats(ELEVEN, 3)},
    }
    closed = calendar("bob", "ada", appoinmentPerSlot=5, openHours=[])

    assert starts(rules, day_counts={TODAY: 3}, **occupancy) == []
    assert starts(closed, **occupancy) == []


def test_the_last_to_leave_a_session_frees_its_whole_time():
    """Even if the session has become longer than the one who leaves."""
    rules = calendar("ada", appoinmentPerSlot=5)
    occupancy = {
        "busy": {"ada": Busy.of([(TEN, ELEVEN + MINUTE)])},
        "seats": {("ada", TEN): Seats(ELEVEN + MINUTE, 1)},
    }

    assert starts(rules, **occupancy) == [9, 10]
    assert starts(
        rules, leave_out=ExcludedAppointment("cal", ["ada"], TEN, ELEVEN), **occupancy
    ) == [
        9,
        10,
        11,
    ]
