"""The command line of the scorecard."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from .machine import ROOT
from .plan import Plan
from .report import document, show, write
from .run import MEASURES, run
from .talk import talk

FAILED, INTERRUPTED = 1, 130
RESULTS = ROOT / "bench" / "results"
QUICK = Plan(
    rounds=3,
    seconds=1.0,
    rates=(20,),
    hosts=10,
    calendars=100,
    events=20_000,
    history=(100, 10_000),
)

app = typer.Typer(
    add_completion=False, rich_markup_mode="rich", pretty_exceptions_show_locals=False
)


def _listed(asked: bool) -> None:
    if asked:
        for name, measure in MEASURES.items():
            typer.echo(f"{name:10} {sys.modules[measure.__module__].__doc__}")
        raise typer.Exit


@app.command(
    epilog="Exit codes: 0 measured · 1 something came out wrong · 2 wrong usage · 130 interrupted."
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
    ] = RESULTS / "latest.json",
    profiled: Annotated[
        bool, typer.Option("--profile", help="Say where a booking spends its CPU time instead.")
    ] = False,
    listed: Annotated[  # noqa: ARG001 -- its callback does it
        bool, typer.Option("--list", is_eager=True, callback=_listed, help="Name the measures.")
    ] = False,
) -> None:
    """Measure a running system: ours and a floor in turns, and the ratio of the two."""
    names = only or list(MEASURES)
    if unknown := [name for name in names if name not in MEASURES]:
        raise typer.BadParameter(
            f"there is no {unknown[0]}; --list names them", param_hint="--only"
        )
    asked = {
        "rounds": rounds,
        "seconds": seconds,
        "rates": (rate,) if rate else None,
        "calendars": calendars,
        "events": events,
        "history": tuple(history) if history else None,
        "floors": str(floors) if floors else None,
    }
    plan = _plan(QUICK if quick else Plan(), **asked)
    if profiled:
        from .profile import profile  # noqa: PLC0415 -- it imports a service; the rest needs none

        typer.echo("\n".join(uvloop.run(profile(plan, talk()))))
        raise typer.Exit
    raise typer.Exit(_bench(plan, names, json))


def _plan(usual: Plan, **asked: Any) -> Plan:
    """The usual plan but for what was asked for."""
    return replace(usual, **{name: value for name, value in asked.items() if value is not None})


def _bench(plan: Plan, names: list[str], file: Path) -> int:
    try:
        found, about = uvloop.run(run(plan, names, talk()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    show(found, about, Console(width=None if Console().is_terminal else 160))
    write(file, document(found, about))
    typer.echo(f"written: {file.relative_to(ROOT) if file.is_relative_to(ROOT) else file}")
    return FAILED if found.problems else 0
