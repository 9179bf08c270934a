"""`POST` of an appointment to booking alone: beside pgbench, and beside a handler without rules."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from statistics import median

from bench.baselines import pgbench
from bench.baselines.pgbench import Tally
from bench.load.booking_requests import SlotRequests, refused
from bench.load.socket_burst import Burst, burst
from bench.measures.context import Context
from bench.report.findings import Broken, Row
from bench.report.paired_ratios import Pair, percentile, score
from bench.systems.booking_service import BookingService, running_booking
from bench.systems.single_service import MeasuredServer, running_bare_handler, running_servers

CLIENTS = (1, 32)
MOST = 5000
"""Requests prepared for each second of a burst; a faster service ends the burst earlier."""
LARGEST = 60_000  # requests of a burst
WARM_LIMIT = 300.0  # seconds
BOOKED, REFUSED = "200", "400 slot_unavailable"
MISSING = "pgbench is not installed beside PostgreSQL: no ratio to it"


@dataclass(frozen=True)
class _Environment:
    """The service, its two baselines, and the requests for all of them."""

    context: Context
    service: BookingService
    slots: SlotRequests
    bare: MeasuredServer
    tool: pgbench.PgBench | None


@dataclass
class _Case:
    """The bursts of one number of connections, each paired with its baselines'."""

    clients: int
    ours: list[Burst] = field(default_factory=list)
    bare: list[Burst] = field(default_factory=list)
    pgbench: list[Tally] = field(default_factory=list)


async def post(context: Context) -> None:
    """Book free slots of random hosts; every hundredth request is for a taken slot, and must be refused."""
    async with _environment(context) as environment:
        booked = await _warm(environment)
        cases = [_Case(clients) for clients in CLIENTS]
        with context.progress.steps("post", context.plan.rounds * len(cases)) as steps:
            for number in range(context.plan.rounds):
                for case in cases:
                    steps.next(f"round {number + 1}, {case.clients} connections")
                    booked += await _round(environment, case)
        await environment.service.verify(booked)
    for case in cases:
        context.findings.rows += _rows(case)


@asynccontextmanager
async def _environment(context: Context) -> AsyncIterator[_Environment]:
    """Run the service and its baselines from the first burst to the last."""
    async with AsyncExitStack() as stack:
        context.progress.line("starting PostgreSQL, Kafka and booking …")
        servers = await stack.enter_async_context(running_servers())
        service = await stack.enter_async_context(
            running_booking(context.progress, servers, calendars=context.plan.calendars)
        )
        bare = await stack.enter_async_context(
            running_bare_handler(servers, await servers.empty_database("bare"))
        )
        bare = replace(bare, helper_pids=service.server.helper_pids)
        slots = SlotRequests(service.account, service.calendars)
        yield _Environment(context, service, slots, bare, await pgbench.prepare(servers))


async def _warm(environment: _Environment) -> int:
    """Book the slot of each calendar that later requests must be refused; return their number."""
    taken = environment.slots.taken
    for server in (environment.service.server, environment.bare):
        done = await burst(server, taken, connections=8, seconds=WARM_LIMIT, once=True)
        if len(done.ms) < len(taken):
            raise Broken(f"only {len(done.ms)} of {len(taken)} were booked in {WARM_LIMIT:.0f} s")
    await environment.service.wait_until_relayed()
    return len(taken)


async def _round(environment: _Environment, case: _Case) -> int:
    """Run one burst of each; return how many appointments were booked in the service."""
    plan, service, slots = environment.context.plan, environment.service, environment.slots
    requests = slots.next(min(int(plan.seconds * MOST), LARGEST))
    ours = await _burst(case, service.server, requests, plan.seconds, service)
    if environment.tool is not None:
        case.pgbench.append(await environment.tool.burst(seconds=plan.seconds))
    bare = await _burst(case, environment.bare, requests, plan.seconds, None)
    slots.use(max(len(ours.ms), len(bare.ms)))
    case.ours.append(ours)
    case.bare.append(bare)
    _note(environment.context, case)
    return ours.count(BOOKED)


async def _burst(
    case: _Case,
    server: MeasuredServer,
    requests: Sequence[str],
    seconds: float,
    service: BookingService | None,
) -> Burst:
    found = await burst(
        server,
        requests,
        connections=case.clients,
        seconds=seconds,
        once=True,
        expects={BOOKED, REFUSED},
        settle=service.wait_until_relayed if service else None,
    )
    if found.count(REFUSED) != refused(len(found.ms)):
        wrong = f"{found.count(REFUSED)} of {len(found.ms)} were refused"
        raise Broken(f"{wrong} instead of {refused(len(found.ms))}")
    return found


def _note(context: Context, case: _Case) -> None:
    ours, bare = case.ours[-1], case.bare[-1]
    context.findings.bursts.append(
        {
            "measure": "post",
            "connections": case.clients,
            "ours_per_second": 1 / ours.seconds_each,
            "bare_per_second": 1 / bare.seconds_each,
            "pgbench_per_second": 1 / case.pgbench[-1].seconds_each if case.pgbench else MISSING,
            "ours_cpu_us": _cpu_of(ours),
            "bare_cpu_us": _cpu_of(bare),
            "generator_share": [ours.driver_share, bare.driver_share],
        }
    )


def _cpu_of(one: Burst) -> dict[str, float]:
    """Return CPU microseconds of a response, by process."""
    return {name: seconds * 1e6 / len(one.ms) for name, seconds in one.cpu_of.items()}


def _rows(case: _Case) -> list[Row]:
    return [*_to_pgbench(case), _to_bare(case), *_costs(case)]


def _to_pgbench(case: _Case) -> list[Row]:
    name = f"booked over HTTP, c={case.clients}"
    booked = [ms for one in case.ours for ms in one.latencies[BOOKED]]
    p50, p99 = percentile(booked, 0.5), percentile(booked, 0.99)
    if not case.pgbench:
        speed = 1 / median(one.seconds_each for one in case.ours)
        return [Row("post", f"{name} ({MISSING})", "/s", speed, p50=p50, p99=p99)]
    both = zip(case.ours, case.pgbench, strict=True)
    wall = score([Pair(ours.seconds_each, least.seconds_each) for ours, least in both])
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
        "post", "  PostgreSQL, pgbench", "CPU µs", median(one.cpu for one in case.pgbench) * 1e6
    )
    return [row, spent]


def _to_bare(case: _Case) -> Row:
    both = list(zip(case.ours, case.bare, strict=True))
    wall = score([Pair(ours.seconds_each, bare.seconds_each) for ours, bare in both])
    at_p99 = score([Pair(_p99(ours), _p99(bare)) for ours, bare in both])
    floor = [ms for one in case.bare for ms in one.latencies[BOOKED]]
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
        ratio_p99=at_p99.ratio,
    )


def _p99(one: Burst) -> float:
    return percentile(one.latencies[BOOKED], 0.99)


def _costs(case: _Case) -> list[Row]:
    """Return rows of CPU time of a response, refusals included: of all processes, then by process."""
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
            ours=median(_cpu_of(ours)[part] for ours, _ in both),
            floor=median(_cpu_of(bare)[part] for _, bare in both),
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
