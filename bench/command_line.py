"""The command line `./hoop bench`."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from bench.against.checkout import Unusable
from bench.against.comparing import COMPARED, compare
from bench.against.output import show_comparison
from bench.against.pairing import USUAL_PERCENT
from bench.report.machine import ROOT
from bench.report.output import show, to_json, write
from bench.report.progress import stderr_progress
from bench.run_plan import QUICK, Plan
from bench.runner import BY_NAME_ALONE, MEASURES, run

FAILED, INTERRUPTED = 1, 130
RESULTS = ROOT / "bench" / "results"
LATEST = RESULTS / "latest.json"

app = typer.Typer(
    add_completion=False, rich_markup_mode="rich", pretty_exceptions_show_locals=False
)


def _list(requested: bool) -> None:
    if requested:
        for name, measure in MEASURES.items():
            text = sys.modules[measure.__module__].__doc__ or ""
            typer.echo(f"{name:10} {text.partition(chr(10))[0]}")
        raise typer.Exit


@app.command(
    epilog="Exit codes: 0 measured · 1 something came out wrong, or a figure is worse than --fail-over"
    " allows · 2 wrong usage · 130 interrupted."
)
def bench(
    *,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Measure this alone; again for more.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Rough figures in a minute.")] = False,
    seconds: Annotated[float | None, typer.Option(min=0.5, max=60, help="Of each burst.")] = None,
    rate: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Bookings offered a second.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, max=50, help="Bursts of each kind.")] = None,
    calendars: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="For free-slots and post.")
    ] = None,
    events: Annotated[
        int | None, typer.Option(min=1000, max=10_000_000, help="In the topics, for rebuild.")
    ] = None,
    history: Annotated[
        list[int] | None,
        typer.Option(min=1, metavar="N", help="Past appointments, for growth; again for more."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Statements to list of each service, for statements."
        ),
    ] = None,
    sustain: Annotated[
        float | None,
        typer.Option(min=2, max=600, metavar="SECONDS", help="Of the rate that sustained finds."),
    ] = None,
    held: Annotated[
        float | None,
        typer.Option(min=1, max=600, metavar="SECONDS", help="Of the held snapshot, for claims."),
    ] = None,
    floors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Floors of the slot engine, for slots.",
        ),
    ] = None,
    json: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            show_default="bench/results/latest.json",
            help="Where the figures go, bursts included.",
        ),
    ] = LATEST,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Compare with this commit instead of with floors: this tree and the commit, each in"
            " an environment of its own, take turns in one run.",
        ),
    ] = None,
    dirty: Annotated[
        bool,
        typer.Option("--dirty", help="With --against: this tree may have uncommitted changes."),
    ] = False,
    fail_over: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="PERCENT",
            help="With --against: exit with 1 if a figure is worse by more than this. The verdict"
            " is then about this instead of 5 %.",
        ),
    ] = None,
    profiled: Annotated[
        bool, typer.Option("--profile", help="Say where a booking spends its CPU time instead.")
    ] = False,
    listed: Annotated[  # noqa: ARG001 -- its callback does it
        bool, typer.Option("--list", is_eager=True, callback=_list, help="Name the measures.")
    ] = False,
) -> None:
    """Measure a running system: ours and a floor in turns, and the ratio of the two."""
    names = only or [name for name in MEASURES if name not in BY_NAME_ALONE]
    if unknown := [name for name in names if name not in MEASURES]:
        raise typer.BadParameter(
            f"there is no {unknown[0]}; --list names them", param_hint="--only"
        )
    if against is None and (dirty or fail_over is not None):
        raise typer.BadParameter("--dirty and --fail-over go with --against REF")
    if against is not None and (alone := [one for one in names if one not in COMPARED]):
        raise typer.BadParameter(f"{alone[0]} does not go with --against", param_hint="--only")
    options = {
        "rounds": rounds,
        "seconds": seconds,
        "rates": (rate,) if rate else None,
        "calendars": calendars,
        "events": events,
        "history": tuple(history) if history else None,
        "top": top,
        "sustain": sustain,
        "held": held,
        "floors": str(floors) if floors else None,
    }
    plan = _plan(QUICK if quick else Plan(), **options)
    if profiled:
        from bench.measures.post_profile import profile  # noqa: PLC0415 -- it imports a service

        typer.echo("\n".join(uvloop.run(profile(plan, stderr_progress()))))
        raise typer.Exit
    if against is not None:
        file = RESULTS / "against.json" if json == LATEST else json
        raise typer.Exit(_compare(plan, names, against, file, dirty=dirty, fail_over=fail_over))
    raise typer.Exit(_measure(plan, names, json))


def _plan(usual: Plan, **options: Any) -> Plan:
    """Return the usual plan with the options that were given."""
    return replace(usual, **{name: value for name, value in options.items() if value is not None})


def _measure(plan: Plan, names: list[str], file: Path) -> int:
    try:
        findings, about = uvloop.run(run(plan, names, stderr_progress()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    show(findings, about, _console())
    _write(file, to_json(findings, about))
    return FAILED if findings.problems else 0


def _compare(
    plan: Plan, names: list[str], ref: str, file: Path, *, dirty: bool, fail_over: float | None
) -> int:
    """Compare this tree with the commit `ref`; return the exit code."""
    try:
        comparison, about = uvloop.run(compare(plan, names, ref, stderr_progress(), dirty=dirty))
    except Unusable as error:
        raise typer.BadParameter(str(error), param_hint="--against") from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    percent = USUAL_PERCENT if fail_over is None else fail_over
    show_comparison(comparison, about, _console(), percent=percent)
    _write(file, comparison.to_json(about, percent=percent))
    worse = fail_over is not None and bool(comparison.worse(percent))
    return FAILED if comparison.problems or worse else 0


def _console() -> Console:
    return Console(width=None if Console().is_terminal else 160)


def _write(file: Path, contents: dict[str, Any]) -> None:
    write(file, contents)
    typer.echo(f"written: {file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}")
