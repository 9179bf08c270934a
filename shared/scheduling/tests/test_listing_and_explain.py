"""The slots that clients get, on both kinds of grids; why a date is empty; and look-busy."""

from datetime import UTC, datetime
from json import loads

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slot_oracle.engine_input import MINUTE, arguments_of, busy_of, rules_of, without_bitmaps
from slot_oracle.oracle import Oracle, wall
from slot_oracle.worlds import HOSTS, worlds

from hoop_scheduling import json_pages
from hoop_scheduling.busy import BitmapKey, Busy, TimeAxis
from hoop_scheduling.engine import may_book
from hoop_scheduling.explain import explain
from hoop_scheduling.formatting import format_starts
from hoop_scheduling.hours import OpeningHours, OpeningPlan
from hoop_scheduling.listing import free_slots, free_starts, list_slots
from hoop_scheduling.rules import Host, SlotRules

thorough = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
zones = st.sampled_from(["Asia/Kolkata", "America/Havana", "Pacific/Apia", "Asia/Kathmandu", "UTC"])


def arguments(world, window, **more):
    return {"window": tuple(end * MINUTE for end in window), **arguments_of(world), **more}


@thorough
@given(worlds(), zones, st.sampled_from([0, 0, 40]))
def test_the_json_lists_the_free_starts(case, zone, look_busy):
    """The same bytes with candidates in a bitmap and in a list."""
    world, window = case
    world.calendar["lookBusyConfig"] = {"enabled": True, "LookBusyPercentage": look_busy}
    rules, given = rules_of(world), arguments(world, window)

    text = list_slots(rules, zone=zone, **given)
    starts = free_starts(rules, **given)
    slots = free_slots(rules, **given)
    with without_bitmaps():
        text_of_list = list_slots(rules, zone=zone, **given)

    assert text == text_of_list
    days = {day: {"slots": texts} for day, texts in format_starts(starts, zone).items()}
    assert loads(text) == days
    assert [slot.start for slot in slots] == starts


rows = st.tuples(
    st.integers(-3000, 3000), st.integers(0, 3000), st.integers(0, 40), st.integers(0, 40)
).map(lambda row: (row[0], row[0] + row[1], *row[2:]))
buffers = st.one_of(st.none(), st.tuples(st.integers(0, 50), st.integers(0, 50)))


@given(
    st.lists(rows, max_size=8),
    st.builds(TimeAxis, st.integers(-2000, 2000), st.integers(1, 300), st.integers(1, 40)),
    st.integers(1, 500),
    buffers,
    st.integers(1, 4),
)
@settings(deadline=None)
def test_a_bitmap_equals_the_bits_of_a_list(found, axis, length, around, parts):
    """Busy times may begin or end between two instants of the axis, and may be in pieces."""
    instants = range(axis.origin, axis.origin + axis.size * axis.spacing, axis.spacing)
    whole = Busy.of(found)
    pieces = Busy.joined([Busy.of(found[part::parts]) for part in range(parts)])

    bits = whole.bitmap(BitmapKey(axis, length, around))

    assert bits == whole.blocked(instants, length, around)
    assert pieces.bitmap(BitmapKey(axis, length, around)) == bits
    assert pieces.blocked(instants, length, around) == bits
    assert [bool(bits >> i & 1) for i in range(axis.size)] == [
        conflicts(found, instant, length, around) for instant in instants
    ]


def test_the_cache_of_bitmaps_is_bounded():
    """For any number of axes; a bitmap that was dropped is computed again, and equal."""
    busy, axes = busy_of([(0, 30)]), [TimeAxis(-10 * n * MINUTE, MINUTE, 100) for n in range(99)]

    once = [busy.bitmap(BitmapKey(axis, MINUTE, None)) for axis in axes]
    again = [busy.bitmap(BitmapKey(axis, MINUTE, None)) for axis in axes]

    assert again == once
    assert len(busy._bitmaps) <= 16


def conflicts(found, start, length, around):
    before, after = around or (0, 0)
    return any(
        max(start - before, a) < min(start + length + after, b)
        or max(start, a - (b4 if around else 0)) < min(start + length, b + (aft if around else 0))
        for a, b, b4, aft in found
        if a < b
    )


@thorough
@given(worlds(), zones)
def test_a_day_is_explained_if_it_has_no_slot_and_only_then(case, zone):
    """The reason is that of the oracle."""
    world, window = case
    by_day: dict[str, list[int]] = {}
    for minute in range(*window):
        by_day.setdefault(wall(minute, zone).date().isoformat(), []).append(minute)

    found = explain(rules_of(world), zone=zone, **arguments(world, window))

    reasons = {day: Oracle(world).reason(minutes) for day, minutes in by_day.items()}
    assert found == {day: reason for day, reason in reasons.items() if reason}
    offered = loads(list_slots(rules_of(world), zone=zone, **arguments(world, window)))
    assert set(found) | set(offered) == set(by_day)
    assert not set(found) & set(offered)


REMEDY_BY_REASON = {
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
    """Then the day has slots, or a later rule is the reason."""
    world, window = case
    world.calendar["lookBusyConfig"] = {"enabled": True, "LookBusyPercentage": look_busy}
    found = explain(rules_of(world), zone=world.zone, **arguments(world, window))

    for reason in set(found.values()) & set(REMEDY_BY_REASON):
        days = {day for day, named in found.items() if named == reason}
        kept = (dict(world.calendar), dict(world.sessions), dict(world.busy), world.resources)
        world.busy = {owner: list(rows) for owner, rows in world.busy.items()}
        world.counts, counts, world.resources = dict(world.counts), world.counts, [*world.resources]
        REMEDY_BY_REASON[reason](world)
        after = explain(rules_of(world), zone=world.zone, **arguments(world, window))
        assert reason not in {after.get(day) for day in days}
        world.calendar, world.sessions, world.busy, world.resources = kept
        world.counts = counts


def test_a_request_for_no_member_is_a_reason_as_well():
    """A user who is no member of the calendar has no slots on any day."""
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
    """Hidden starts are bookable, the same for any window, and more with a higher percentage."""
    world, (start, end) = case
    every = set(free_starts(rules_of(world), **arguments(world, (start, end))))

    def offered(percentage, *window):
        world.calendar["lookBusyConfig"] = {"enabled": True, "LookBusyPercentage": percentage}
        return free_starts(rules_of(world), **arguments(world, window))

    visible, middle = offered(percent, start, end), data.draw(st.integers(start, end))
    assert set(visible) <= every
    assert offered(percent, start, middle) + offered(percent, middle, end) == visible
    assert set(offered(max(percent, more), start, end)) <= set(visible)
    rules = rules_of(world)
    for hidden in sorted(every - set(visible))[:20]:
        assert may_book(rules, hidden, hidden + rules.length, **arguments_of(world))


def test_look_busy_hides_about_the_configured_percentage():
    """Forty percent of a thousand, give or take; all of them with a hundred; none when it is off."""
    always = Host("ada", OpeningPlan((OpeningHours("UTC", (((0, 1440),),) * 7),)))

    def offered(calendar, percent):
        rules = SlotRules(calendar, "UTC", (always,), look_busy=percent)
        window = (0, 1000 * 30 * MINUTE)
        return free_starts(rules, busy={}, window=window, now=0)

    assert 550 < len(offered("one", 40)) < 650
    assert 985 < len(offered("one", 1)) < 1000
    assert offered("one", 40) != offered("two", 40)
    assert offered("one", 100) == []
    assert len(offered("one", 0)) == 1000


def test_a_grid_that_needs_too_long_an_axis_is_a_list():
    """Intervals of 100.001 s in two zones of different quarters of an hour."""
    hosts = [
        Host(zone, OpeningPlan((OpeningHours(zone, (((0, 1440),),) * 7),)))
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


def test_the_cache_of_fragments_is_bounded(monkeypatch):
    """For any number of dates; a fragment that was dropped is built again, and equal."""
    monkeypatch.setattr(json_pages, "MAX_BYTES", 20_000)
    always = Host("ada", OpeningPlan((OpeningHours("UTC", (((0, 1440),),) * 7),)))
    rules, window = SlotRules("cal", "UTC", (always,)), (0, 10 * 86_400_000)

    def rendered(minute):
        busy = {"ada": busy_of([(minute, minute + 1)])}
        return list_slots(rules, busy=busy, window=window, now=0, zone="UTC")

    first = rendered(0)
    for minute in range(0, 14_400, 30):
        assert len(loads(rendered(minute))) == 10
        assert len(json_pages._cache.filled) * 150 < json_pages._cache.used <= 20_000
    assert rendered(0) == first
