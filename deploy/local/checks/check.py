"""`./hoop check`: format, lint, types, imports, dependencies, generated files, our own rules."""

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

from local.checks.repo_checks import RULES
from local.checks.workspace import members
from local.paths import ROOT

BIN = Path(sys.executable).parent
MOST_LINES = 80  # printed of a failed step, so that one step does not hide the others
STEP_TIMEOUT = 600.0  # seconds; mypy without its cache is the slowest by far


@dataclass(frozen=True)
class CheckStep:
    """A command that checks one thing, and the folder it runs in."""

    name: str
    command: Sequence[str | Path]
    folder: Path = ROOT


@dataclass(frozen=True)
class StepResult:
    """The result of a step."""

    name: str
    ok: bool
    seconds: float
    output: str


def run_check(*, fix: bool, as_json: bool) -> bool:
    """Run every step, as many at once as there are cores, and print the results; returns whether all passed."""
    begin = time.monotonic()
    console = Console(stderr=as_json)
    if fix:
        fix_what_ruff_can(console)
    todo = list(steps())
    console.print(f"checking: {', '.join(step.name for step in todo)}", soft_wrap=True)
    with console.status("checking …"), ThreadPoolExecutor(os.cpu_count()) as threads:
        results = list(threads.map(run, todo))
    ok = all(result.ok for result in results)
    if as_json:
        print(orjson.dumps({"ok": ok, "steps": [asdict(each) for each in results]}).decode())
    else:
        show(console, results, time.monotonic() - begin)
    return ok


def steps() -> Iterator[CheckStep]:
    """All steps, the slowest first."""
    yield CheckStep("types", [BIN / "mypy", "--no-error-summary"])
    yield CheckStep("imports", [BIN / "lint-imports", "--no-logo"])
    for rule in RULES:
        yield CheckStep(rule, [sys.executable, "-P", "-m", "local.checks.repo_checks", rule, ROOT])
    module = "local.checks.event_contracts"
    yield CheckStep("event contracts", [sys.executable, "-P", "-m", module, ROOT])
    yield CheckStep("generated files", [sys.executable, "-P", "-m", "local", "codegen", "--check"])
    all_members = members(ROOT)
    ours = ",".join(f"{member.name}={member.package}" for member in all_members)
    deptry: list[str | Path] = [BIN / "deptry", ".", "--no-ansi", "--package-module-name-map", ours]
    for member in all_members:
        yield CheckStep(f"declared: {member.folder.relative_to(ROOT)}", deptry, member.folder)
    yield CheckStep("format", [BIN / "ruff", "format", "--check", "."])
    yield CheckStep("lint", [BIN / "ruff", "check", "--output-format", "concise", "."])


def fix_what_ruff_can(console: Console) -> None:
    """Format, and apply ruff's safe fixes; the checks that follow report the rest."""
    for command in (["check", "--fix", "--exit-zero", "--quiet"], ["format", "--quiet"]):
        result = run(CheckStep("fix", [BIN / "ruff", *command, "."]))
        console.print(result.output.strip(), markup=False) if result.output.strip() else None


def run(step: CheckStep) -> StepResult:
    """Run a step; one that cannot start or exceeds `STEP_TIMEOUT` has failed."""
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
    return StepResult(step.name, ok, round(time.monotonic() - begin, 2), output)


def show(console: Console, results: list[StepResult], seconds: float) -> None:
    """Print the output of failed steps, then a table: people read the end of a log first."""
    table = Table("check", "", "seconds", title=f"./hoop check, {seconds:.1f} s")
    table.columns[2].justify = "right"
    for result in results:
        verdict = "[green]ok[/]" if result.ok else "[bold red]failed[/]"
        table.add_row(result.name, verdict, f"{result.seconds:.1f}")
        if not result.ok:
            console.rule(f"{result.name} failed", align="left")
            console.print(shortened(result.output), markup=False, highlight=False, soft_wrap=True)
    console.print(table)
    if any(not result.ok for result in results):
        console.print("./hoop check --fix fixes format and simple lint; --json prints all output")


def shortened(output: str) -> str:
    """The first `MOST_LINES` lines of an output: the first error often causes the others."""
    lines = output.strip().splitlines()
    more = [f"… and {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
    return "\n".join(lines[:MOST_LINES] + more)
