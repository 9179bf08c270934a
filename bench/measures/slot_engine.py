"""CPU time of the slot engine alone, from busy times in memory to JSON; beside floors, if a file has some.

Half-hour slots, Monday to Friday from nine to five in New York, a month (or a quarter) from 1 March
2027, over a change of clocks; people busy at random, by day and by night. `--floors FILE` names a
Python file whose `prepare(case, mode)` returns callables by name, each of which returns the same JSON.
"""

import importlib.util
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from bench.measures.context import Context
from bench.report.findings import Broken, Row
from bench.report.paired_ratios import Pair, score
from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.listing import free_starts, list_slots
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.zones import day_of, epoch_ms

ROUNDS, BURST = 15, 0.02
ZONE = "America/New_York"
FIRST = epoch_ms(datetime(2027, 3, 1, tzinfo=ZoneInfo(ZONE)))
MINUTE, DAY = 60_000, 86_400_000

Listing = Callable[[], bytes]


@dataclass(frozen=True)
class Case:
    """Hosts with `busy` busy times each; `slots` is the count on which independent programs agree."""

    hosts: int
    days: int
    busy: int
    mode: str
    slots: int

    def __str__(self) -> str:
        name = "1 host" if self.hosts == 1 else f"{self.hosts} hosts, {self.mode}"
        return f"{name}, {self.days} days, {self.busy} busy"


CASES = [
    Case(1, 30, 0, "any", 352),
    Case(1, 30, 100, "any", 301),
    Case(1, 30, 1000, "any", 65),
    Case(1, 90, 100, "any", 1002),
    Case(10, 30, 100, "any", 352),
    Case(10, 30, 100, "all", 81),
    Case(50, 30, 100, "any", 352),
    Case(50, 30, 100, "all", 0),
]
RULES = {
    "notice 2 hours": {"allowBookingAfter": 2},
    "horizon 60 days": {"allowBookingFor": 60},
    "buffers 10 and 15 minutes": {"preBuffer": 10, "slotBuffer": 15},
    "8 a day": {"appoinmentPerDay": 8},
}


async def slots(context: Context) -> None:
    """Measure every case, then one case with rules, which the floors do not know."""
    floors = None if context.plan.floors is None else _load(Path(context.plan.floors))
    variants = _variants()
    with context.progress.steps("slots", len(CASES) + 1) as steps:
        for case in CASES:
            steps.next(str(case))
            case_floors = floors.prepare(_name(case), case.mode) if floors else {}
            context.findings.rows += _rows(str(case), checked(case, case_floors), case_floors)
        steps.next("rules")
        plain = _of(CASES[1])
        for name, variant in variants.items():
            context.findings.rows += _rows(
                f"1 host, 100 busy: {name}", variant, {"no rules": plain}
            )


def _rows(name: str, ours: Listing, floors: Mapping[str, Callable[[], object]]) -> list[Row]:
    """Run bursts in shuffled turns; return a row for each floor, or one row without a floor."""
    callables = {"ours": ours, **floors}
    costs: dict[str, list[float]] = {key: [] for key in callables}
    for _ in range(ROUNDS):
        for key in random.sample(list(callables), len(callables)):
            costs[key].append(_cost(callables[key]))
    if not floors:
        return [Row("slots", name, "CPU µs", median(costs["ours"]))]
    rows = []
    for floor in floors:
        pairs = [Pair(a, b) for a, b in zip(costs["ours"], costs[floor], strict=True)]
        scored = score(pairs)
        title = f"{name} / {floor}"
        rows.append(
            Row("slots", title, "CPU µs", scored.ours, floor=scored.floor, ratio=scored.ratio)
        )
    return rows


def _cost(call: Callable[[], object]) -> float:
    """Return CPU microseconds of one call."""
    calls, begun = 0, time.process_time()
    while (spent := time.process_time() - begun) < BURST:
        for _ in range(10):
            call()
        calls += 10
    return spent / calls * 1e6


def checked(case: Case, floors: Mapping[str, Listing]) -> Listing:
    """Return ours; `Broken` unless it has the agreed number of slots and equals every floor."""
    ours = _of(case)
    listed = {day: value["slots"] for day, value in orjson.loads(ours()).items()}
    if (found := sum(map(len, listed.values()))) != case.slots:
        raise Broken(f"{case}: {found} slots instead of {case.slots}")
    for name, floor in floors.items():
        if orjson.loads(floor()) != listed:
            raise Broken(f"{case}: other slots than {name}")
    return ours


def _of(case: Case, **fields: Any) -> Listing:
    rules, taken = _calendar(case, **fields), _taken(case)
    return lambda: list_slots(rules, zone=ZONE, **taken)


def _variants() -> dict[str, Listing]:
    """Return listings of one host with rules, and two with a cache that cannot be used."""
    case = CASES[1]
    rules, taken = _calendar(case), _taken(case)
    busy, windows = taken["busy"]["member-0"], count(1)
    together = {key: value for one in RULES.values() for key, value in one.items()}
    every = _calendar(case, appoinmentPerSlot=5, **together)
    sessions: dict[str, Any] = {
        "seats": _sessions(every, taken),
        "day_counts": _day_counts(every),
    }

    def changed() -> bytes:
        return list_slots(rules, zone=ZONE, **taken | {"busy": {"member-0": replace(busy)}})

    def new_window() -> bytes:
        start = FIRST + next(windows) * DAY
        return list_slots(rules, zone=ZONE, **taken | {"window": (start, start + case.days * DAY)})

    found = {name: _of(case, **fields) for name, fields in RULES.items()}
    found["all of these, 5 seats, 10 sessions begun"] = lambda: list_slots(
        every, zone=ZONE, **taken, **sessions
    )
    found["busy times just changed"] = changed
    found["a range nobody has asked for"] = new_window
    return found


def _sessions(rules: SlotRules, taken: Mapping[str, Any]) -> dict[tuple[str, int], Seats]:
    starts = free_starts(rules, **taken)[::30]
    return {("member-0", start): Seats(start + rules.length, 2) for start in starts[:10]}


def _day_counts(rules: SlotRules) -> dict[Any, int]:
    """Return appointments by day: two days of the month are full."""
    return {
        day_of(FIRST + day * DAY, ZONE): rules.per_day if day in {3, 9} else 3 for day in range(30)
    }


def _calendar(case: Case, **fields: Any) -> SlotRules:
    nine_to_five = {"openHour": 9, "openMinute": 0, "closeHour": 17, "closeMinute": 0}
    document = {
        "id": "calendar",
        "calendarType": "collective" if case.mode == "all" else "round_robin",
        "teamMembers": [{"userId": f"member-{number}"} for number in range(case.hosts)],
        "openHours": [{"daysOfTheWeek": [1, 2, 3, 4, 5], "hours": [nine_to_five]}],
    }
    return SlotRules.from_calendar(document | fields, ZONE)


def _taken(case: Case) -> dict[str, Any]:
    seeds = [1] if case.hosts == 1 else range(100, 100 + case.hosts)
    busy = {f"member-{number}": _busy(case, seed) for number, seed in enumerate(seeds)}
    return {"busy": busy, "window": (FIRST, FIRST + case.days * DAY), "now": FIRST}


def _busy(case: Case, seed: int) -> Busy:
    rng, found = random.Random(seed), []
    for _ in range(case.busy):
        day, minute = rng.randrange(case.days), rng.randrange(0, 1440, 5)
        start = FIRST + day * DAY + minute * MINUTE
        found.append((start, start + rng.choice([15, 30, 45, 60]) * MINUTE))
    return Busy.of(found)


def _name(case: Case) -> str:
    return f"h{case.hosts}_d{case.days}_b{case.busy}"


def _load(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location("bench_slot_floors", file)
    if spec is None or spec.loader is None:
        raise Broken(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
