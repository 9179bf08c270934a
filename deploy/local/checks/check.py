"""`./hoop check`: format, lint, types, imports, dependencies, and the rules of our own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from local.checks.repo_checks import RULES, members
from local.cli.options import ROOT, Exit

BIN = Path(sys.executable).parent
OUR_MODULES = "hoop-events=hoop_events,hoop-scheduling=hoop_scheduling,hoop-platform=hoop_platform,hoop-local=local"
MOST_LINES = 80  # of a failed step, so that one flood does not hide the others
STEP_TIMEOUT = 600.0  # seconds; mypy without its cache is the slowest by far


@dataclass(frozen=True)
class Step:
    name: str
    command: Sequence[str | Path]
    folder: Path = ROOT


@dataclass(frozen=True)
class Outcome:
    name: str
    ok: bool
    seconds: float
    output: str


def run_check(*, fix: bool, as_json: bool) -> int:
    """Run every step, as many at once as there are cores; show times and what failed."""
    begin = time.monotonic()
    console = Console(stderr=as_json)
    if fix:
        mend(console)
    todo = list(steps())
    console.print(f"checking: {', '.join(step.name for step in todo)}", soft_wrap=True)
    with console.status("checking …"), ThreadPoolExecutor(os.cpu_count()) as threads:
        outcomes = list(threads.map(run, todo))
    ok = all(outcome.ok for outcome in outcomes)
    if as_json:
        print(orjson.dumps({"ok": ok, "steps": [asdict(each) for each in outcomes]}).decode())
    else:
        show(console, outcomes, time.monotonic() - begin)
    return Exit.OK if ok else Exit.FAILED


def steps() -> Iterator[Step]:
    """Name what is checked, the slowest first."""
    yield Step("types", [BIN / "mypy", "--no-error-summary"])
    yield Step("imports", [BIN / "lint-imports", "--no-logo"])
    for rule in RULES:
        yield Step(rule, [sys.executable, "-P", "-m", "local.checks.repo_checks", rule, ROOT])
    declared: list[str | Path] = [
        BIN / "deptry",
        ".",
        "--no-ansi",
        "--package-module-name-map",
        OUR_MODULES,
    ]
    for member in members(ROOT):
        yield Step(f"declared: {member.relative_to(ROOT)}", declared, member)
    yield Step("format", [BIN / "ruff", "format", "--check", "."])
    yield Step("lint", [BIN / "ruff", "check", "--output-format", "concise", "."])


def mend(console: Console) -> None:
    """Let ruff mend what it safely can; what is left shows in the check that follows."""
    for command in (["check", "--fix", "--exit-zero", "--quiet"], ["format", "--quiet"]):
        outcome = run(Step("mend", [BIN / "ruff", *command, "."]))
        console.print(outcome.output.strip(), markup=False) if outcome.output.strip() else None


def run(step: Step) -> Outcome:
    """Run a step to its end; that it cannot start or does not end is a failure like another."""
    begin = time.monotonic()
    try:
        done = subprocess.run(
            step.command,
            cwd=step.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=STEP_TIMEOUT,
            check=False,
        )
        ok, output = done.returncode == 0, done.stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        ok, output = False, str(error)
    return Outcome(step.name, ok, round(time.monotonic() - begin, 2), output)


def show(console: Console, outcomes: list[Outcome], seconds: float) -> None:
    """Show what failed with its output, then the table: the end of a log is what people read."""
    table = Table("check", "", "seconds", title=f"./hoop check, {seconds:.1f} s")
    table.columns[2].justify = "right"
    for outcome in outcomes:
        verdict = "[green]ok[/]" if outcome.ok else "[bold red]failed[/]"
        table.add_row(outcome.name, verdict, f"{outcome.seconds:.1f}")
        if not outcome.ok:
            console.rule(f"{outcome.name} failed", align="left")
            console.print(shortened(outcome.output), markup=False, highlight=False, soft_wrap=True)
    console.print(table)
    if any(not outcome.ok for outcome in outcomes):
        console.print("./hoop check --fix mends format and simple lint; --json says everything")


def shortened(output: str) -> str:
    """Keep the beginning of a long output; the first complaint is often the cause of the rest."""
    lines = output.strip().splitlines()
    more = [f"… and {len(lines) - MOST_LINES} lines more"] if len(lines) > MOST_LINES else []
    return "\n".join(lines[:MOST_LINES] + more)
