"""Measures without HTTP: the benchmarks of each commit, run by its own code, in turns."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.against.pairing import Comparison, figures_of_rows
from bench.against.sides import Side
from bench.report.findings import Broken
from bench.report.progress import ProgressReporter
from bench.run_plan import Plan

LEAST_ROUNDS = 3
BY_OWN_CODE = ("slots", "growth", "rebuild")
OUTPUT_END = 2000  # characters of a failed run's output
STOP_LIMIT = 60.0  # seconds


async def compare_by_own_code(
    name: str, plan: Plan, sides: tuple[Side, Side], progress: ProgressReporter, to: Comparison
) -> None:
    """Run this measure of both commits in turns, and pair the rows with the same name."""
    rounds = max(LEAST_ROUNDS, plan.rounds) if name == "slots" else LEAST_ROUNDS
    with progress.steps(name, 2 * rounds) as steps:
        for number in range(rounds):
            rows: dict[str, list[dict[str, Any]]] = {}
            for side in sides[::-1] if number % 2 else sides:
                steps.next(f"round {number + 1}, {side.name}")
                rows[side.name] = await _rows(name, plan, side)
            ours, theirs = (figures_of_rows(rows[side.name]) for side in sides)
            to.add(ours, theirs)


async def _rows(name: str, plan: Plan, side: Side) -> list[dict[str, Any]]:
    """Run the bench of this tree once; return the rows of its result file."""
    with tempfile.TemporaryDirectory(prefix="hoop-bench-") as folder:
        file = Path(folder) / "result.json"
        command = [sys.executable, str(side.root / "hoop"), "bench", "--", *_options(name, plan)]
        program = await asyncio.create_subprocess_exec(
            *command,
            "--json",
            str(file),
            cwd=side.root,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await program.communicate()
        finally:
            await _stop(program)
        result: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"ok": False}
    if program.returncode or not result["ok"]:
        last = output.decode(errors="replace")[-OUTPUT_END:]
        raise Broken(f"the bench of {side.name} failed with {program.returncode}:\n{last}")
    rows: list[dict[str, Any]] = result["rows"]
    return rows


async def _stop(program: asyncio.subprocess.Process) -> None:
    """End a program that still runs, and leave it time to stop its servers."""
    if program.returncode is not None:
        return
    program.terminate()
    try:
        await asyncio.wait_for(program.wait(), STOP_LIMIT)
    except TimeoutError:
        program.kill()
        await program.wait()


def _options(name: str, plan: Plan) -> list[str]:
    """Return the options of the same plan, as every commit's bench understands them."""
    options = {
        "--only": name,
        "--rounds": plan.rounds,
        "--seconds": plan.seconds,
        "--calendars": plan.calendars,
        "--events": plan.events,
    }
    texts = [str(part) for pair in options.items() for part in pair]
    return texts + [text for count in plan.history for text in ("--history", str(count))]
