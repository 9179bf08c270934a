"""The answer that clients get, by two ways of laying the grid, and why a day of it is empty."""

from datetime import UTC, datetime
from json import loads

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slot_oracle.oracle import Oracle, wall
from slot_oracle.telling import MINUTE, busy_of, lists_only, rules_of, taken_of
from slot_oracle.worlds import HOSTS, worlds

from hoop_scheduling import json_pages
from hoop_scheduling.busy import Busy, Lattice, SlotRequest
from hoop_scheduling.engine import may_book
from hoop_scheduling.explain import explain
from hoop_scheduling.formatting import format_starts
from hoop_scheduling.hours import Hours, Plan
from hoop_scheduling.listing import free_slots, free_starts, list_slots
from hoop_scheduling.rules import Host, SlotRules

thorough = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
zones = st.sampled_from(["Asia/Kolkata", "America/Havana", "Pacific/Apia", "Asia/Kathmandu", "UTC"])


def asked(world, window, **more):
    return {"window": tuple(end * MINUTE for end in window), **taken_of(world), **more}


@thorough
@given(worlds(), zones, st.sampled_from([0, 0, 40]))
def test_the_answer_is_the_free_starts_presented(case, zone, look_busy):
    """On a lattice and in a list alike, byte by byte."""
    world, window = case
    world.calendar["lookBusyConfig"] = {"enabled": True, "LookBusyPercentage": look_busy}
    rules, question = rules_of(world), asked(world, window)

    packed = list_slots(rules, zone=zone, **question)
    starts = free_starts(rules, **question)
    slots = free_slots(rules, **question)
    with lists_only():
        listed = list_slots(rules, zone=zone, **question)

    assert packed == listed
    days = {day: {"slots": texts} for day, texts in format_starts(starts, zone).items()}
    assert loads(packed) == days
    assert [slot.start for slot in slots] == starts


rows = st.tuples(
    st.integers(-3000, 3000), st.integers(0, 3000), st.integers(0, 40), st.integers(0, 40)
).map(lambda row: (row[0], row[0] + row[1], *row[2:]))
buffers = st.one_of(st.none(), st.tuples(st.integers(0, 50), st.integers(0, 50)))


@given(
    st.lists(rows, max_size=8),
    st.builds(Lattice, st.integers(-2000, 2000), st.integers(1, 300), st.integers(1, 40)),
    st.integers(1, 500),
    buffers,
    st.integers(1, 4),
)
@settings(deadline=None)
def test_packing_loses_nothing(found, lattice, length, around, parts):
    """Whatever begins or ends between two cells, in one value or in pieces: as for a list."""
    points = range(lattice.origin, lattice.origin + lattice.size * lattice.cell, lattice.cell)
    whole = Busy.of(found)
    pieces = Busy.joined([Busy.of(found[part::parts]) for part in range(parts)])

    bits = whole.packed(SlotRequest(lattice, length, around))

    assert bits == whole.blocked(points, length, around)
    assert pieces.packed(SlotRequest(lattice, length, around)) == bits
    assert pieces.blocked(points, length, around) == bits
    assert [bool(bits >> i & 1) for i in range(lattice.size)] == [
        conflicts(found, point, length, around) for point in points
    ]


def test_what_is_packed_is_bounded():
    """Whatever is asked of one person, little is kept; what was dropped is packed again, and alike."""
    busy, lattices = busy_of([(0, 30)]), [Lattice(-10 * n * MINUTE, MINUTE, 100) for n in range(99)]

    once = [busy.packed(SlotRequest(lattice, MINUTE, None)) for lattice in lattices]
    again = [busy.packed(SlotRequest(lattice, MINUTE, None)) for lattice in lattices]

    assert again == once
    assert len(busy._kept) <= 16


def conflicts(found, point, length, around):
    before, after = around or (0, 0)
    return any(
        max(point - before, a) < min(point + length + after, b)
        or max(point, a - (b4 if around else 0)) < min(point + length, b + (aft if around else 0))
        for a, b, b4, aft in found
        if a < b
    )


@thorough
@given(worlds(), zones)
def test_a_day_is_explained_if_it_has_no_slot_and_only_then(case, zone):
    """By the rule that the oracle, minute by minute, finds to leave nothing of it."""
    world, window = case
    by_day: dict[str, list[int]] = {}
    for minute in range(*window):
        by_day.setdefault(wall(minute, zone).date().isoformat(), []).append(minute)

    found = explain(rules_of(world), zone=zone, **asked(world, window))

    reasons = {day: Oracle(world).why(minutes) for day, minutes in by_day.items()}
    assert found == {day: reason for day, reason in reasons.items() if reason}
    offered = loads(list_slots(rules_of(world), zone=zone, **asked(world, window)))
    assert set(found) | set(offered) == set(by_day)
    assert not set(found) & set(offered)


REMEDIES = {
    "inactive": lambda world: world.calendar.update(isActive=True),
    "horizon": lambda world: world.calendar.pop("allowBookingFor"),
    "day_full": lambda world: world.counts.clear(),
    "full": lambda world: world.calendar.update(appoinmentPerSlot=9999),
    "busy": lambda world: (world.sessions.clear(), *(world.busy[host].clear() for host in OWNERS)),
    "no_resource": lambda world: world.resources.clear(),
    "look_busy": lambda world: world.calendar.pop("lookBusyConfig"),
}
OWNERS = [*HOSTS, "cal"]


@thorough
@given(worlds(), st.sampled_from([0, 0, 100]))
def test_removing_the_named_rule_is_a_remedy(case, look_busy):
    """Then the day has slots, or a rule that comes later says why not."""
    world, window = case
    world.calendar["lookBusyConfig"] = {"enabled": True, "LookBusyPercentage": look_busy}
    found = explain(rules_of(world), zone=world.zone, **asked(world, window))

    for reason in set(found.values()) & set(REMEDIES):
        days = {day for day, named in found.items() if named == reason}
        kept = (dict(world.calendar), dict(world.sessions), dict(world.busy), world.resources)
        world.busy = {owner: list(rows) for owner, rows in world.busy.items()}
        world.counts, counts, world.resources = dict(world.counts), world.counts, [*world.resources]
        REMEDIES[reason](world)
        after = explain(rules_of(world), zone=world.zone, **asked(world, window))
        assert reason not in {after.get(day) for day in days}
        world.calendar, world.sessions, world.busy, world.resources = kept
        world.counts = counts


def test_nobody_asked_for_is_a_reason_as_well():
    """A member that the calendar does not have offers nothing on any day."""
    rules = SlotRules.from_calendar({"id": "cal", "teamMembers": [{"userId": "ada"}]}, "UTC")
    window = (0, 2 * 86_400_000)

    found = explain(rules, busy={}, window=window, now=0, zone="UTC", hosts=["zoe"])

    assert found == {"1970-01-01": "not_a_member", "1970-01-02": "not_a_member"}


def test_a_date_that_did_not_exist_needs_no_reason():
    """Apia went from the 29th to the 31st of December 2011."""
    rules = SlotRules.from_calendar({"id": "cal"}, "UTC")
    start = int(datetime(2011, 12, 29, tzinfo=UTC).timestamp()) * 1000

    window = (start, start + 3 * 86_400_000)
    found = explain(rules, busy={}, window=window, now=0, zone="Pacific/Apia")

    assert found == dict.fromkeys(
        ["2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01"], "closed"
    )


@thorough
@given(worlds(), st.integers(0, 100), st.integers(0, 100), st.data())
def test_look_busy_hides_and_never_refuses(case, percent, more, data):
    """What is hidden is bookable, is the same whatever the window, and grows with the percentage."""
    world, (start, end) = case
    every = set(free_starts(rules_of(world), **asked(world, (start, end))))

    def shown(percentage, *window):
        world.calendar["lookBusyConfig"] = {"enabled": True, "LookBusyPercentage": percentage}
        return free_starts(rules_of(world), **asked(world, window))

    seen, middle = shown(percent, start, end), data.draw(st.integers(start, end))
    assert set(seen) <= every
    assert shown(percent, start, middle) + shown(percent, middle, end) == seen
    assert set(shown(max(percent, more), start, end)) <= set(seen)
    rules = rules_of(world)
    for hidden in sorted(every - set(seen))[:20]:
        assert may_book(rules, hidden, hidden + rules.length, **taken_of(world))


def test_look_busy_hides_about_as_many_as_asked_for():
    """Forty percent of a thousand, give or take; all of them with a hundred; none when it is off."""
    always = Host("ada", Plan((Hours("UTC", (((0, 1440),),) * 7),)))

    def shown(calendar, percent):
        rules = SlotRules(calendar, "UTC", (always,), look_busy=percent)
        window = (0, 1000 * 30 * MINUTE)
        return free_starts(rules, busy={}, window=window, now=0)

    assert 550 < len(shown("one", 40)) < 650
    assert 985 < len(shown("one", 1)) < 1000
    assert shown("one", 40) != shown("two", 40)
    assert shown("one", 100) == []
    assert len(shown("one", 0)) == 1000


def test_a_grid_too_odd_for_a_lattice_is_answered_all_the_same():
    """Intervals of 100.001 s in two zones of different quarters of an hour: a list."""
    hosts = [
        Host(zone, Plan((Hours(zone, (((0, 1440),),) * 7),)))
        for zone in ("Asia/Kolkata", "Asia/Kathmandu")
    ]
    rules = SlotRules("cal", "UTC", tuple(hosts), step=100_001)
    busy = {"Asia/Kolkata": busy_of([(0, 100, 5, 5)])}
    window = (0, 86_400_000)

    found = list_slots(rules, busy=busy, window=window, now=0, zone="UTC")

    starts = free_starts(rules, busy=busy, window=window, now=0)
    assert loads(found) == {"1970-01-01": {"slots": format_starts(starts, "UTC")["1970-01-01"]}}
    slot = free_slots(rules, busy=busy, window=(starts[0], starts[0] + 60_000), now=0)[0]
    assert slot.hosts == ("Asia/Kathmandu",)


def test_the_kept_pieces_are_bounded(monkeypatch):
    """However many different days are asked for; what was dropped is made again, and alike."""
    monkeypatch.setattr(json_pages, "MOST_BYTES", 20_000)
    always = Host("ada", Plan((Hours("UTC", (((0, 1440),),) * 7),)))
    rules, window = SlotRules("cal", "UTC", (always,)), (0, 10 * 86_400_000)

    def told(minute):
        busy = {"ada": busy_of([(minute, minute + 1)])}
        return list_slots(rules, busy=busy, window=window, now=0, zone="UTC")

    first = told(0)
    for minute in range(0, 14_400, 30):
        assert len(loads(told(minute))) == 10
        assert len(json_pages._shelf.filled) * 150 < json_pages._shelf.used <= 20_000
    assert told(0) == first
