"""The command line everybody uses, people and machines alike: `./hoop COMMAND`."""

import os
import sys
import tomllib
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from local.cli.options import LOCAL, MARK, ROOT, STACK_FILE, UpOptions

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # a local variable may hold a secret
    help="Hoop: book, move and cancel appointments; everything else follows.",
    epilog="Exit codes: 0 done · 1 failed · 2 wrong usage · 3 something is missing here"
    " (./hoop doctor says what) · 130 interrupted.",
)
TWO_AT_A_TIME = ("-n", "2", "--dist", "loadgroup")
"""Tests wait more than they work. What must stay together, `conftest.py` groups."""
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
AsJson = Annotated[bool, typer.Option("--json", help="Answer with JSON, for programs.")]
LocalFolder = Annotated[
    Path, typer.Option("--local", metavar="DIR", help="The folder of one system: data, logs.")
]


@app.callback(invoke_without_command=True)
def hoop(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say the version.")] = False,
) -> None:
    if version:
        typer.echo(f"hoop {_version()}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _version() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


@app.command(
    epilog="Examples: [bold]./hoop up[/] · [bold]./hoop up --once[/] ·"
    " [bold]./hoop up --split --port 9080 --local .local/second[/]"
)
def up(
    *,
    once: Annotated[bool, typer.Option(help="Leave after the demonstration.")] = False,
    demo: Annotated[bool, typer.Option(help="Show the demonstration.")] = True,
    split: Annotated[bool, typer.Option(help="One process for each service.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the public API.")] = 8080,
    local: LocalFolder = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Run the whole system on this machine, then a demonstration on it, until Ctrl-C."""
    if once and not demo:
        raise typer.BadParameter("--once leaves after the demonstration that --no-demo omits.")
    claim(local.absolute())
    from local.stack.up import run_up  # noqa: PLC0415 - it imports every service; `clean` needs none

    options = UpOptions(
        local=local.absolute(), port=port, split=split, demo=demo, once=once, json=as_json
    )
    raise typer.Exit(run_up(options))


def claim(folder: Path) -> None:
    """Make the folder ours, unless it holds something else: what is ours, `clean` removes."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {path.name for path in folder.iterdir()}
    if found and not found & {MARK, STACK_FILE} and folder != LOCAL:
        raise typer.BadParameter(f"{folder} is not empty, and not of `./hoop up`.")
    (folder / MARK).touch()


@app.command(
    "test",
    context_settings=PASS_ON,
    epilog="Examples: [bold]./hoop test services/booking[/] · [bold]./hoop test -- -k reschedule[/]",
)
def run_tests(
    arguments: Annotated[list[str] | None, typer.Argument(help="Go to pytest.")] = None,
) -> None:
    """Run the tests, on real Kafka and real PostgreSQL; the exit code is pytest's.

    All of them run two at a time, what you choose one after the other. Those that take minutes
    have a call of their own: `./hoop test -m long`.
    """
    _become("-m", "pytest", *(_from_here(arguments) or TWO_AT_A_TIME))


@app.command(context_settings=PASS_ON, epilog="Example: [bold]./hoop bench -- --help[/]")
def bench(
    arguments: Annotated[list[str] | None, typer.Argument(help="Go to the scorecard.")] = None,
) -> None:
    """Measure how fast it is, in multiples of a floor measured in the same run."""
    _become(str(ROOT / "bench"), *_from_here(arguments))


def _from_here(arguments: list[str] | None) -> list[str]:
    """Make paths absolute that were meant from the caller's folder: we go on from the root."""
    if Path.cwd() == ROOT:
        return arguments or []
    return [
        str(Path(text).absolute()) if Path(text.partition("::")[0]).exists() else text
        for text in arguments or []
    ]


def _become(*arguments: str) -> NoReturn:
    """Replace this process by Python with these arguments: its exit code and signals are ours."""
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-P", *arguments])


@app.command()
def check(
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Format and mend what can be.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check format, lint, types, imports and dependencies."""
    from local.checks.check import run_check  # noqa: PLC0415 - so that every other command starts sooner

    raise typer.Exit(run_check(fix=fix, as_json=as_json))


@app.command(epilog="After a change of a route or of a model: [bold]./hoop openapi --write[/]")
def openapi(
    *,
    write: Annotated[bool, typer.Option("--write", help="Put it where booking serves it.")] = False,
) -> None:
    """Print the API's document (OpenAPI 3.1), made of the route tables of all services."""
    from local.codegen.openapi import run_openapi  # noqa: PLC0415 - it imports every service

    run_openapi(write=write)


@app.command()
def doctor(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Wanted for `up`.")] = 8080,
    local: LocalFolder = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Say what is missing on this machine, why it is needed, and the command that mends it."""
    from local.cli.doctor import run_doctor  # noqa: PLC0415 - so that every other command starts sooner

    raise typer.Exit(run_doctor(port=port, local=local.absolute(), as_json=as_json))


@app.command()
def clean(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also .venv and .cache: the next ./hoop installs anew.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Even while a system runs there.")] = False,
    local: LocalFolder = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Forget everything that `up` wrote."""
    from local.cli.clean import run_clean  # noqa: PLC0415 - so that every other command starts sooner

    raise typer.Exit(
        run_clean(local=local.absolute(), everything=everything, force=force, as_json=as_json)
    )
