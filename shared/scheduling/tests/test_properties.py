"""The engine against a second opinion, and what must hold whatever the rules are."""

from datetime import datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slot_oracle.oracle import Oracle, World, hosts, wall
from slot_oracle.telling import MINUTE, rules_of, taken_of
from slot_oracle.worlds import DAY, EQUIPMENT, HOSTS, ROOMS, worlds

from hoop_scheduling.engine import may_book
from hoop_scheduling.formatting import format_starts
from hoop_scheduling.listing import free_slots, free_starts
from hoop_scheduling.without_one import ExcludedAppointment

thorough = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def offered(world: World, window: tuple[int, int]) -> list[int]:
    span = (window[0] * MINUTE, window[1] * MINUTE)
    return [s // MINUTE for s in free_starts(rules_of(world), window=span, **taken_of(world))]


@thorough
@given(worlds())
def test_the_engine_offers_what_the_oracle_offers(case):
    """Every offered start is bookable minute by minute, and no bookable minute is missing."""
    world, window = case

    assert offered(world, window) == Oracle(world).offered(*window)


@thorough
@given(worlds(), st.data())
def test_what_is_offered_may_be_booked_and_nothing_else(case, data):
    """`may_book` says yes, naming the same hosts and resources, for what the oracle would take."""
    world, window = case
    rules, taken, oracle = rules_of(world), taken_of(world), Oracle(world)
    some = data.draw(st.lists(st.integers(*window), max_size=30))
    asked = data.draw(st.sampled_from([None, *HOSTS]))

    for start in {*some, *offered(world, window)}:
        ask = (start * MINUTE, start * MINUTE + rules.length)
        verdict = may_book(rules, *ask, host=asked, **taken)
        assert set(verdict.hosts) == oracle.who(start, asked)
        joins = verdict.hosts and (verdict.hosts[0], start) in world.sessions
        assert list(verdict.resources) == ([] if joins or not verdict else oracle.needs(start))
        assert (verdict.reason is None) == bool(verdict) == bool(verdict.hosts)


@thorough
@given(worlds(), st.sets(st.sampled_from(HOSTS), min_size=1))
def test_a_slot_names_its_hosts_and_the_seats_they_have_left(case, asked):
    """Asking for some members gives their slots only; seats add up, of a collective they are one."""
    world, window = case
    rules, oracle = rules_of(world), Oracle(world)
    span = (window[0] * MINUTE, window[1] * MINUTE)

    for slot in free_slots(rules, window=span, hosts=asked, **taken_of(world)):
        start = slot.start // MINUTE
        assert set(slot.hosts) == set.union(*(oracle.who(start, host) for host in asked))
        left = [oracle.capacity - world.sessions.get((h, start), (0, 0))[1] for h in slot.hosts]
        assert slot.seats_left == (min(left) if rules.all_of else sum(left)) > 0


@thorough
@given(worlds(), st.sampled_from(["Asia/Kolkata", "America/Havana", "Pacific/Apia", "UTC"]))
def test_asking_in_another_zone_gives_the_same_instants(case, zone):
    """Only the dates and the offsets of the text change."""
    world, (start, end) = case
    starts = free_starts(rules_of(world), window=(start * MINUTE, end * MINUTE), **taken_of(world))

    days = format_starts(starts, zone)

    texts = [text for day in days.values() for text in day]
    assert [datetime.fromisoformat(text).timestamp() * 1000 for text in texts] == starts
    assert all(text.startswith(day) for day, texts in days.items() for text in texts)


@thorough
@given(worlds(), st.data())
def test_splitting_the_range_gives_the_same_slots(case, data):
    """Two questions that adjoin are answered as one."""
    world, (start, end) = case
    middle = data.draw(st.integers(start, end))

    parts = offered(world, (start, middle)) + offered(world, (middle, end))

    assert parts == offered(world, (start, end))


@thorough
@given(worlds(), st.data())
def test_more_busy_time_never_adds_a_slot(case, data):
    """Whoever gets busier offers the same or less."""
    world, window = case
    before = set(offered(world, window))
    start = data.draw(st.integers(window[0] - DAY, window[1]))
    row = (start, start + data.draw(st.integers(1, DAY)), data.draw(st.integers(0, 60)), 0)

    owner = data.draw(st.sampled_from([*HOSTS, "cal", *ROOMS, *EQUIPMENT]))
    world.busy[owner].append(row)

    assert set(offered(world, window)) <= before


@thorough
@given(worlds(), st.data())
def test_rescheduling_asks_as_if_the_appointment_were_gone(case, data):
    """Leaving out one appointment is the same as never having booked it."""
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

    found = free_starts(rules_of(world), window=span, leave_out=moving, **taken_of(world))

    leave(world, movers, at)
    assert [instant // MINUTE for instant in found] == Oracle(world).offered(start, end)


def leave(world: World, movers: list[str], at: int) -> None:
    """Take one appointment out of the books."""
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
    """Any start, any length; but nobody is in two places at once, and no seat is sold twice."""
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
        **taken_of(world),
    )

    able = able_at_all(world, oracle, start)
    assert set(verdict.hosts) == (able if world.calendar.get("isActive", True) else set())


def able_at_all(world: World, oracle: Oracle, start: int) -> set[str]:
    """Who could be there if no rule and no buffer counted."""
    oracle.before = oracle.after = 0
    for rows in world.busy.values():
        rows[:] = [(a, b, 0, 0) for a, b, *_ in rows]
    free = {host for host in hosts(world) if oracle.begins(host, start)}
    seats = {host for host in hosts(world) if oracle.has_seat(host, start)}
    if not oracle.collective:
        return free | seats
    return free | seats if set(hosts(world)) in (free, seats) else set()
