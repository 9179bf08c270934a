"""Booking alone, `POST` of an appointment: beside pgbench, and beside a handler that knows no rules."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from statistics import median

from . import pgbench
from .alone import Server, bare_booking, ground
from .asking import Burst, burst
from .measures import Task
from .office import Office, Slots, opened, refused
from .pgbench import Tally
from .plan import Broken, Row
from .stats import Pair, percentile, score

CLIENTS = (1, 32)
MOST = 5000
"""Requests made for each second of a burst; a faster service ends it earlier, with the same figures."""
LARGEST = 60_000  # requests of a burst
WARM_LIMIT = 300.0  # seconds
BOOKED, REFUSED = "200", "400 slot_unavailable"
MISSING = "pgbench is not installed beside PostgreSQL: no ratio to it"


@dataclass(frozen=True)
class _Setting:
    """Who takes turns."""

    task: Task
    office: Office
    slots: Slots
    bare: Server
    tool: pgbench.Bench | None


@dataclass
class _Case:
    """The bursts of one number of connections, each beside its floors'."""

    clients: int
    ours: list[Burst] = field(default_factory=list)
    bare: list[Burst] = field(default_factory=list)
    least: list[Tally] = field(default_factory=list)
    """Of pgbench."""


async def post(task: Task) -> None:
    """Times that nobody has, on random hosts; every hundredth is taken already, and refused."""
    async with _set(task) as setting:
        booked = await _warm(setting)
        cases = [_Case(clients) for clients in CLIENTS]
        with task.talk.steps("post", task.plan.rounds * len(cases)) as steps:
            for number in range(task.plan.rounds):
                for case in cases:
                    steps.next(f"round {number + 1}, {case.clients} connections")
                    booked += await _round(setting, case)
        await setting.office.verify(booked)
    for case in cases:
        task.found.rows += _rows(case)


@asynccontextmanager
async def _set(task: Task) -> AsyncIterator[_Setting]:
    """Everything that is measured runs from the beginning to the end."""
    async with AsyncExitStack() as stack:
        task.talk.say("starting PostgreSQL, Kafka and booking …")
        under = await stack.enter_async_context(ground())
        office = await stack.enter_async_context(opened(task, under, calendars=task.plan.calendars))
        bare = await stack.enter_async_context(
            bare_booking(under, await under.empty_database("bare"))
        )
        bare = replace(bare, beside=office.server.beside)
        slots = Slots(office.tenant, office.calendars)
        yield _Setting(task, office, slots, bare, await pgbench.ready(under))


async def _warm(setting: _Setting) -> int:
    """Book the time of each calendar that will be taken; how many these are."""
    taken = setting.slots.taken
    for server in (setting.office.server, setting.bare):
        done = await burst(server, taken, connections=8, seconds=WARM_LIMIT, once=True)
        if len(done.ms) < len(taken):
            raise Broken(f"only {len(done.ms)} of {len(taken)} were booked in {WARM_LIMIT:.0f} s")
    await setting.office.relayed()
    return len(taken)


async def _round(setting: _Setting, case: _Case) -> int:
    """One burst of each; gives how many were booked here."""
    plan, office, slots = setting.task.plan, setting.office, setting.slots
    asked = slots.next(min(int(plan.seconds * MOST), LARGEST))
    ours = await _burst(case, office.server, asked, plan.seconds, office)
    if setting.tool is not None:
        case.least.append(await setting.tool.burst(seconds=plan.seconds))
    bare = await _burst(case, setting.bare, asked, plan.seconds, None)
    slots.used(max(len(ours.ms), len(bare.ms)))
    case.ours.append(ours)
    case.bare.append(bare)
    _note(setting.task, case)
    return ours.count(BOOKED)


async def _burst(
    case: _Case, server: Server, asked: Sequence[str], seconds: float, office: Office | None
) -> Burst:
    found = await burst(
        server,
        asked,
        connections=case.clients,
        seconds=seconds,
        once=True,
        expects={BOOKED, REFUSED},
        settled=office.relayed if office else None,
    )
    if found.count(REFUSED) != refused(len(found.ms)):
        wrong = f"{found.count(REFUSED)} of {len(found.ms)} were refused"
        raise Broken(f"{wrong} instead of {refused(len(found.ms))}")
    return found


def _note(task: Task, case: _Case) -> None:
    ours, bare = case.ours[-1], case.bare[-1]
    task.found.bursts.append(
        {
            "measure": "post",
            "connections": case.clients,
            "ours_per_second": 1 / ours.apart,
            "bare_per_second": 1 / bare.apart,
            "pgbench_per_second": 1 / case.least[-1].apart if case.least else MISSING,
            "ours_cpu_us": _each(ours),
            "bare_cpu_us": _each(bare),
            "generator_share": [ours.driver_share, bare.driver_share],
        }
    )


def _each(one: Burst) -> dict[str, float]:
    """CPU microseconds of an answer, by process."""
    return {name: seconds * 1e6 / len(one.ms) for name, seconds in one.cpu_of.items()}


def _rows(case: _Case) -> list[Row]:
    return [*_to_pgbench(case), _to_bare(case), *_costs(case)]


def _to_pgbench(case: _Case) -> list[Row]:
    name = f"booked over HTTP, c={case.clients}"
    answered = [ms for one in case.ours for ms in one.answers[BOOKED]]
    p50, p99 = percentile(answered, 0.5), percentile(answered, 0.99)
    if not case.least:
        speed = 1 / median(one.apart for one in case.ours)
        return [Row("post", f"{name} ({MISSING})", "/s", speed, p50=p50, p99=p99)]
    both = zip(case.ours, case.least, strict=True)
    wall = score([Pair(ours.apart, least.apart) for ours, least in both])
    row = Row(
        "post",
        f"{name} (to pgbench, 8 clients)",
        "/s",
        ours=1 / wall.ours,
        floor=1 / wall.floor,
        ratio=1 / wall.ratio,
        kept=wall.kept,
        p50=p50,
        p99=p99,
    )
    spent = Row(
        "post", "  PostgreSQL, pgbench", "CPU µs", median(one.cpu for one in case.least) * 1e6
    )
    return [row, spent]


def _to_bare(case: _Case) -> Row:
    both = list(zip(case.ours, case.bare, strict=True))
    wall = score([Pair(ours.apart, bare.apart) for ours, bare in both])
    late = score([Pair(_late(ours), _late(bare)) for ours, bare in both])
    floor = [ms for one in case.bare for ms in one.answers[BOOKED]]
    return Row(
        "post",
        f"  to a bare handler, c={case.clients}",
        "/s",
        ours=1 / wall.ours,
        floor=1 / wall.floor,
        ratio=1 / wall.ratio,
        kept=wall.kept,
        floor_p50=percentile(floor, 0.5),
        floor_p99=percentile(floor, 0.99),
        ratio_p99=late.ratio,
    )


def _late(one: Burst) -> float:
    return percentile(one.answers[BOOKED], 0.99)


def _costs(case: _Case) -> list[Row]:
    """CPU of an answer, refusals among them: all processes to the bare handler's, then by process."""
    both = list(zip(case.ours, case.bare, strict=True))
    spent = score([Pair(ours.cpu, bare.cpu) for ours, bare in both])
    name = f"c={case.clients}"
    total = Row(
        "post",
        f"CPU of a booking, {name}, service and PostgreSQL",
        "CPU µs",
        ours=spent.ours * 1e6,
        floor=spent.floor * 1e6,
        ratio=spent.ratio,
        kept=spent.kept,
    )
    parts = [
        Row(
            "post",
            f"  {part}, {name}",
            "CPU µs",
            ours=median(_each(ours)[part] for ours, _ in both),
            floor=median(_each(bare)[part] for _, bare in both),
        )
        for part in case.ours[0].cpu_of
    ]
    share = Row(
        "post",
        f"  load generator, of its core, {name}",
        "%",
        ours=100 * median(ours.driver_share for ours, _ in both),
        floor=100 * median(bare.driver_share for _, bare in both),
    )
    return [total, *parts, share]
