"""Claims and jobs a second: the ratios, and a burst over the platform's reconciler on PostgreSQL."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.baselines.pgqueuer_queue import pgqueuer_queue
from bench.baselines.procrastinate_queue import procrastinate_queue
from bench.measures.claim_rate import _Bursts, _turns, backlog_rows, queue_rows
from bench.measures.held_snapshot import Rates, held_rows
from bench.measures.queue_bursts import jobs_a_second, start_times
from bench.systems.reconciler import Reconciler
from bench.systems.single_service import Servers


def test_each_backlog_is_beside_the_smallest() -> None:
    """By medians; that nothing was claimed is a figure as well."""
    rows = backlog_rows({300: [0.0, 0.0, 0.0], 2: [90.0, 100.0, 500.0], 20: [50.0, 49.0, 70.0]})
    assert [(row.ours, row.floor, row.ratio) for row in rows] == [
        (100.0, None, None),
        (50.0, 100.0, 0.5),
        (0.0, 100.0, 0.0),
    ]


def test_jobs_are_compared_round_by_round() -> None:
    """More jobs a second is better, a longer way to the start is worse."""
    ours = _Bursts([100.0, 200.0, 300.0], [1.0, 2.0, 9.0])
    theirs = _Bursts([200.0, 200.0, 200.0], [4.0, 4.0, 6.0])
    speed, delay = queue_rows("another", ours, theirs)
    assert (speed.ours, speed.floor, speed.ratio) == pytest.approx((200.0, 200.0, 1.0))
    assert (delay.p50, delay.p99, delay.ratio, delay.ratio_p99) == (2.0, 9.0, 0.5, 1.5)


def test_a_held_snapshot_is_beside_the_mean_of_before_and_after() -> None:
    """For claims and for relayed events."""
    before, held, after = Rates(100, 1000), Rates(60, 1500), Rates(140, 2000)
    claims, relayed = held_rows(before, held, after, seconds=20)
    assert (claims.floor, claims.ratio) == (120, 0.5)
    assert (relayed.floor, relayed.ratio) == (1500, 1.0)


def test_each_queue_begins_in_its_turn() -> None:
    """Three rounds of three."""
    turns = [_turns(["a", "b", "c"], number) for number in range(3)]
    assert turns == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]]


async def test_a_burst_runs_the_platform_reconciler(new_database: Any) -> None:
    """Backlog, single jobs and changes: what the measures do, on a small scale."""
    reconciler = Reconciler(await new_database())
    await reconciler.fill_backlog(40)
    assert await jobs_a_second(reconciler, seconds=20, most=20) > 1
    assert len(await start_times(reconciler, count=3)) == 3
    await reconciler.change(25)
    assert await jobs_a_second(reconciler, seconds=20, most=25) > 1


@pytest.mark.parametrize("opened", [procrastinate_queue, pgqueuer_queue])
async def test_a_burst_runs_the_queue_of_a_library(postgres_dsn: str, opened: Any) -> None:
    """What is measured beside ours works with the installed version."""
    servers = Servers(Path(), postgres_dsn, bootstrap="", pids={}, binaries=Path())
    async with opened(servers) as queue:
        await queue.fill(40)
        assert await jobs_a_second(queue, seconds=20, most=40) > 2
        assert len(await start_times(queue, count=3)) == 3
