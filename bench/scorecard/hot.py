"""One host whom everybody wants: booking's own path beside one call of a bare function; HTTP for the record."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path

from hoop_scheduling.zones import epoch_ms

from . import taking
from .alone import ground
from .asking import Burst, burst
from .measures import Task
from .office import Office, opened, request
from .plan import Broken, Row
from .stats import Pair, percentile, score
from .world import FIRST

TASKS = 32
CROWD = 200
"""So many want the same time at once."""
APART = timedelta(minutes=15)
STARTS = 700
"""So far apart; appointments last half an hour."""
BOOKED, TAKEN = "booked", "slot_unavailable"
BUSY = "unavailable"
"""Somebody else was always faster: neither a yes nor a no, so it is no try."""
HTTP_BOOKED, HTTP_TAKEN, HTTP_BUSY = "200", f"400 {TAKEN}", f"503 {BUSY}"
PROGRAM = Path(__file__).with_name("contend.py")


@dataclass(frozen=True)
class Fight:
    """What a while of it came to. Milliseconds of each call that was a yes or a no."""

    ms: list[float]
    seconds: float
    booked: int
    busy: int
    longest: float
    """Milliseconds, whatever came of it."""
    crowd: float
    """Seconds until all who wanted one time at once had their answers."""

    @property
    def apart(self) -> float:
        return self.seconds / len(self.ms)


@dataclass
class _Found:
    ours: list[Fight] = field(default_factory=list)
    floor: list[Fight] = field(default_factory=list)
    http: list[Fight] = field(default_factory=list)


async def hot(task: Task) -> None:
    """32 tasks, 700 starts, a new host for each burst; then 200 at once want the same time."""
    rounds, found = task.plan.rounds, _Found()
    task.talk.say("starting PostgreSQL, Kafka and booking …")
    async with (
        ground() as under,
        opened(task, under, calendars=2 * rounds, slotInterval=15) as office,
    ):
        bare = await taking.prepare(under)
        booked = 0
        with task.talk.steps("hot", rounds) as steps:
            for number in range(rounds):
                steps.next(f"round {number + 1}")
                one, other = office.calendars[2 * number : 2 * number + 2]
                booked += await _round(task, office, found, bare=bare, calendars=(one, other))
        await _verify(office, booked, bare)
    task.found.rows += _rows(found)


async def _round(
    task: Task, office: Office, found: _Found, *, bare: str, calendars: tuple[str, str]
) -> int:
    """Ours, the floor, and ours over HTTP; gives how many were booked here."""
    one, other = calendars
    ours, warm = await _fought(task, office, "booking", office.dsn, one)
    floor, _ = await _fought(task, office, "bare", bare, one)
    http = await _over_http(task, office, other)
    await office.relayed()
    for kept, fight in ((found.ours, ours), (found.floor, floor), (found.http, http)):
        kept.append(fight)
    task.found.bursts.append(
        {
            "measure": "hot",
            **{
                name: {n: v for n, v in asdict(fight).items() if n != "ms"}
                | {"tries": len(fight.ms)}
                for name, fight in (("ours", ours), ("floor", floor), ("http", http))
            },
        }
    )
    return ours.booked + warm + http.booked


async def _fought(
    task: Task, office: Office, how: str, dsn: str, calendar: str
) -> tuple[Fight, int]:
    """A process of its own; also how many it booked to get warm, and in the crowd."""
    order = {
        "how": how,
        "dsn": dsn,
        "account": office.tenant.account_id,
        "location": office.tenant.location_id,
        "contact": office.tenant.contact_ids[0],
        "calendar": calendar,
        "tasks": TASKS,
        "connections": TASKS,
        "starts": STARTS,
        "apart": APART.total_seconds(),
        "crowd": CROWD,
        "first": epoch_ms(FIRST) // 1000,
        "seconds": task.plan.seconds,
        "seed": 1,
    }
    ran = await office.under.timed(dsn, "-P", str(PROGRAM), json.dumps(order))
    said = json.loads(ran.said)
    _one_wins(said["crowd"]["answers"], BOOKED, {BOOKED, TAKEN, BUSY}, how)
    fight = _fight(
        said["fight"]["answers"],
        said["fight"]["seconds"],
        crowd=said["crowd"]["seconds"],
        named=(BOOKED, TAKEN, BUSY),
    )
    return fight, said["warm"] + 1


def _fight(
    answers: dict[str, list[float]], seconds: float, *, crowd: float, named: Sequence[str]
) -> Fight:
    booked, taken, busy = (answers.get(name, []) for name in named)
    if strange := answers.keys() - {*named}:
        raise Broken(f"tries of one host were answered {sorted(strange)}")
    return Fight(
        ms=booked + taken,
        seconds=seconds,
        booked=len(booked),
        busy=len(busy),
        longest=max(booked + taken + busy),
        crowd=crowd,
    )


def _one_wins(answers: dict[str, list[float]], yes: str, known: set[str], how: str) -> None:
    counts = {name: len(ms) for name, ms in answers.items()}
    if counts.get(yes) != 1 or sum(counts.values()) != CROWD or not counts.keys() <= known:
        raise Broken(f"{CROWD} wanted the same time at once ({how}), and were answered {counts}")


async def _over_http(task: Task, office: Office, calendar: str) -> Fight:
    """The same by 32 connections to the service, which has fewer to PostgreSQL."""
    dice, named = random.Random(1), (HTTP_BOOKED, HTTP_TAKEN, HTTP_BUSY)
    asked = [
        request(office.tenant, calendar, FIRST + dice.randrange(STARTS) * APART)
        for _ in range(10 * STARTS)
    ]
    found = await burst(
        office.server,
        asked,
        connections=TASKS,
        seconds=task.plan.seconds,
        expects={*named},
    )
    same = request(office.tenant, calendar, FIRST + (STARTS + 100) * APART)
    crowd: Burst = await burst(
        office.server, [same] * CROWD, connections=CROWD, seconds=60, once=True, expects={*named}
    )
    _one_wins(crowd.answers, HTTP_BOOKED, {*named}, "HTTP")
    fight = _fight(found.answers, found.seconds, crowd=crowd.seconds, named=named)
    return Fight(**{**asdict(fight), "booked": fight.booked + 1})


async def _verify(office: Office, booked: int, bare: str) -> None:
    """Nothing overlaps, everything was announced, and the server never had to break a deadlock."""
    await office.verify(booked)
    await taking.verify(bare)
    if deadlocks := await office.deadlocks():
        raise Broken(f"PostgreSQL had to break {deadlocks} deadlocks")


def _rows(found: _Found) -> list[Row]:
    both = list(zip(found.ours, found.floor, strict=True))
    wall = score([Pair(ours.apart, floor.apart) for ours, floor in both])
    mine, least, asked = (
        [ms for one in fights for ms in one.ms] for fights in (found.ours, found.floor, found.http)
    )
    tries = Row(
        "hot",
        f"tries of one host, {TASKS} tasks, without HTTP",
        "/s",
        ours=1 / wall.ours,
        floor=1 / wall.floor,
        ratio=1 / wall.ratio,
        kept=wall.kept,
        p50=percentile(mine, 0.5),
        p99=percentile(mine, 0.99),
        floor_p50=percentile(least, 0.5),
        floor_p99=percentile(least, 0.99),
    )
    over_http = Row(
        "hot",
        f"tries of one host, {TASKS} connections, HTTP",
        "/s",
        ours=percentile([1 / one.apart for one in found.http], 0.5),
        p50=percentile(asked, 0.5),
        p99=percentile(asked, 0.99),
    )
    return [
        tries,
        *_worst(found.ours, found.floor, "without HTTP"),
        over_http,
        *_worst(found.http, None, "HTTP"),
    ]


def _worst(ours: Sequence[Fight], floor: Sequence[Fight] | None, how: str) -> list[Row]:
    def row(name: str, unit: str, of: Callable[[Sequence[Fight]], float]) -> Row:
        return Row("hot", f"  {name}, {how}", unit, of(ours), of(floor) if floor else None)

    return [
        row("longest call", "ms", lambda fights: max(one.longest for one in fights)),
        row(
            f"one time for {CROWD} at once, last answer",
            "ms",
            lambda fights: 1000 * max(one.crowd for one in fights),
        ),
        row("neither yes nor no (503)", "", lambda fights: float(sum(one.busy for one in fights))),
    ]
