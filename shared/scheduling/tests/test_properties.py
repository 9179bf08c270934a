"""The engine against the oracle, and properties that hold for any rules."""

from datetime import datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slot_oracle.engine_input import MINUTE, arguments_of, rules_of
from slot_oracle.oracle import Oracle, World, hosts, wall
from slot_oracle.worlds import DAY, EQUIPMENT, HOSTS, ROOMS, worlds

from hoop_scheduling.engine import may_book
from hoop_scheduling.formatting import format_starts
from hoop_scheduling.listing import free_slots, free_starts
from hoop_scheduling.without_one import ExcludedAppointment

thorough = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def offered(world: World, window: tuple[int, int]) -> list[int]:
    span = (window[0] * MINUTE, window[1] * MINUTE)
    return [s // MINUTE for s in free_starts(rules_of(world), window=span, **arguments_of(world))]


@thorough
@given(worlds())
def test_the_engine_offers_what_the_oracle_offers(case):
    """Every offered start is bookable minute by minute, and no bookable minute is missing."""
    world, window = case

    assert offered(world, window) == Oracle(world).offered(*window)


@thorough
@given(worlds(), st.data())
def test_what_is_offered_may_be_booked_and_nothing_else(case, data):
    """`may_book` names the same hosts and resources as the oracle for any start."""
    world, window = case
    rules, occupancy, oracle = rules_of(world), arguments_of(world), Oracle(world)
    some = data.draw(st.lists(st.integers(*window), max_size=30))
    requested = data.draw(st.sampled_from([None, *HOSTS]))

    for start in {*some, *offered(world, window)}:
        span = (start * MINUTE, start * MINUTE + rules.length)
        verdict = may_book(rules, *span, host=requested, **occupancy)
        assert set(verdict.hosts) == oracle.able_hosts(start, requested)
        joins = verdict.hosts and (verdict.hosts[0], start) in world.sessions
        assert list(verdict.resources) == ([] if joins or not verdict else oracle.needs(start))
        assert (verdict.reason is None) == bool(verdict) == bool(verdict.hosts)


@thorough
@given(worlds(), st.sets(st.sampled_from(HOSTS), min_size=1))
def test_a_slot_names_its_hosts_and_the_seats_they_have_left(case, requested):
    """A request for some members returns their slots only; seats add up, except of a collective."""
    world, window = case
    rules, oracle = rules_of(world), Oracle(world)
    span = (window[0] * MINUTE, window[1] * MINUTE)

    for slot in free_slots(rules, window=span, hosts=requested, **arguments_of(world)):
        start = slot.start // MINUTE
        assert set(slot.hosts) == set.union(*(oracle.able_hosts(start, host) for host in requested))
        left = [oracle.capacity - world.sessions.get((h, start), (0, 0))[1] for h in slot.hosts]
        assert slot.seats_left == (min(left) if rules.all_of else sum(left)) > 0


@thorough
@given(worlds(), st.sampled_from(["Asia/Kolkata", "America/Havana", "Pacific/Apia", "UTC"]))
def test_a_request_in_another_zone_returns_the_same_instants(case, zone):
    """Only the dates and the offsets of the text change."""
    world, (start, end) = case
    starts = free_starts(
        rules_of(world), window=(start * MINUTE, end * MINUTE), **arguments_of(world)
    )

    days = format_starts(starts, zone)

    texts = [text for day in days.values() for text in day]
    assert [datetime.fromisoformat(text).timestamp() * 1000 for text in texts] == starts
    assert all(text.startswith(day) for day, texts in days.items() for text in texts)


@thorough
@given(worlds(), st.data())
def test_splitting_the_range_returns_the_same_slots(case, data):
    """Two adjoining windows together have the slots of the whole."""
    world, (start, end) = case
    middle = data.draw(st.integers(start, end))

    parts = offered(world, (start, middle)) + offered(world, (middle, end))

    assert parts == offered(world, (start, end))


@thorough
@given(worlds(), st.data())
def test_more_busy_time_never_adds_a_slot(case, data):
    """More busy times leave the same slots or fewer."""
    world, window = case
    before = set(offered(world, window))
    start = data.draw(st.integers(window[0] - DAY, window[1]))
    row = (start, start + data.draw(st.integers(1, DAY)), data.draw(st.integers(0, 60)), 0)

    owner = data.draw(st.sampled_from([*HOSTS, "cal", *ROOMS, *EQUIPMENT]))
    world.busy[owner].append(row)

    assert set(offered(world, window)) <= before


@thorough
@given(worlds(), st.data())
def test_leaving_out_an_appointment_is_as_if_it_were_deleted(case, data):
    """The free starts are those of the world without the appointment."""
    world, (start, end) = case
    span, starts = (start * MINUTE, end * MINUTE), sorted({s for _, s in world.sessions})
    if not starts:
        return
    at = data.draw(st.sampled_from(starts))
    team = [host for host in hosts(world) if (host, at) in world.sessions]
    movers = team if world.calendar["calendarType"] == "collective" else team[:1]
    ends, _ = world.sessions[movers[0], at]
    used = world.used[movers[0], at]
    moving = ExcludedAppointment("cal", movers, at * MINUTE, ends * MINUTE, used)

    found = free_starts(rules_of(world), window=span, leave_out=moving, **arguments_of(world))

    delete_appointment(world, movers, at)
    assert [instant // MINUTE for instant in found] == Oracle(world).offered(start, end)


def delete_appointment(world: World, movers: list[str], at: int) -> None:
    """Remove one appointment of these hosts from the world."""
    oracle = Oracle(world)
    world.counts[wall(at, world.zone).date()] -= 1
    freed = world.used[movers[0], at]
    for host in movers:
        end, taken = world.sessions.pop((host, at))
        if taken > 1:
            world.sessions[host, at], freed = (end, taken - 1), []
        else:
            freed = [host, *freed]
    for owner in freed:
        world.busy[owner].remove((at, end, oracle.before, oracle.after))


@thorough
@given(worlds(), st.data())
def test_ignoring_the_rules_leaves_core_times_and_seats(case, data):
    """Any start, any length; but core times never overlap, and no seat is sold twice."""
    world, window = case
    begun = [start for _, start in world.sessions] or [window[0]]
    start = data.draw(st.one_of(st.integers(*window), st.sampled_from(begun)))
    length = data.draw(st.integers(1, 200))
    oracle = Oracle(world)
    oracle.length = length

    verdict = may_book(
        rules_of(world),
        start * MINUTE,
        (start + length) * MINUTE,
        ignore_rules=True,
        **arguments_of(world),
    )

    able = able_without_rules(world, oracle, start)
    assert set(verdict.hosts) == (able if world.calendar.get("isActive", True) else set())


def able_without_rules(world: World, oracle: Oracle, start: int) -> set[str]:
    """The hosts who could take the start if no rule and no buffer counted."""
    oracle.before = oracle.after = 0
    for rows in world.busy.values():
        rows[:] = [(a, b, 0, 0) for a, b, *_ in rows]
    free = {host for host in hosts(world) if oracle.can_begin(host, start)}
    seats = {host for host in hosts(world) if oracle.has_seat(host, start)}
    if not oracle.collective:
        return free | seats
    return free | seats if set(hosts(world)) in (free, seats) else set()
