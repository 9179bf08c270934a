"""The commands of `./hoop` and their options."""

import os
import sys
import tomllib
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from local.cli.options import Exit, UpOptions
from local.paths import LOCAL, MARK, ROOT, STACK_FILE

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # a local variable may hold a secret
    help="Hoop: book, move and cancel appointments; everything else follows.",
    epilog="Exit codes: 0 done · 1 failed · 2 wrong usage · 3 something is missing on this machine"
    " (./hoop doctor lists it) · 130 interrupted.",
)
TWO_WORKERS = ("-n", "2", "--dist", "loadgroup")
"""pytest's options for a run of all tests, which mostly wait; `conftest.py` makes the groups."""
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]
LocalFolder = Annotated[
    Path, typer.Option("--local", metavar="DIR", help="The folder of one system: data and logs.")
]


@app.callback(invoke_without_command=True)
def hoop(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
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
    once: Annotated[bool, typer.Option(help="Stop after the demonstration.")] = False,
    demo: Annotated[bool, typer.Option(help="Run the demonstration.")] = True,
    split: Annotated[bool, typer.Option(help="One process for each service.")] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the public API; 0 picks a free one.")
    ] = 8080,
    local: LocalFolder = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Run the whole system on this machine and a demonstration, until Ctrl-C."""
    if once and not demo:
        raise typer.BadParameter(
            "--once stops after the demonstration, which --no-demo leaves out."
        )
    claim(local.absolute())
    from local.cli.up import run_up  # noqa: PLC0415 - it imports every service; `clean` needs none

    options = UpOptions(
        local=local.absolute(), port=port, split=split, demo=demo, once=once, json=as_json
    )
    raise typer.Exit(run_up(options))


def claim(folder: Path) -> None:
    """Create and mark the folder of a system, so that `clean` may remove it; refuse any other folder."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {path.name for path in folder.iterdir()}
    if found and not found & {MARK, STACK_FILE} and folder != LOCAL:
        raise typer.BadParameter(f"{folder} is not empty and was not created by `./hoop up`.")
    (folder / MARK).touch()


@app.command(
    "test",
    context_settings=PASS_ON,
    epilog="Examples: [bold]./hoop test services/booking[/] · [bold]./hoop test -- -k reschedule[/]",
)
def run_tests(
    arguments: Annotated[list[str] | None, typer.Argument(help="Arguments of pytest.")] = None,
) -> None:
    """Run the tests on real Kafka and real PostgreSQL; the exit code is pytest's.

    Without arguments all tests run, two at a time; with arguments pytest gets exactly those.
    The tests that take minutes run with `./hoop test -m long`.
    """
    _become("-m", "pytest", *(_from_here(arguments) or TWO_WORKERS))


@app.command(context_settings=PASS_ON, epilog="Example: [bold]./hoop bench -- --help[/]")
def bench(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Arguments of the benchmarks.")
    ] = None,
) -> None:
    """Measure the performance, as multiples of a baseline measured in the same run."""
    _become(str(ROOT / "bench"), *_from_here(arguments))


def _from_here(arguments: list[str] | None) -> list[str]:
    """Make paths absolute that are relative to the caller's folder: the command runs in the root."""
    if Path.cwd() == ROOT:
        return arguments or []
    return [
        str(Path(text).absolute()) if Path(text.partition("::")[0]).exists() else text
        for text in arguments or []
    ]


def _become(*arguments: str) -> NoReturn:
    """Replace this process by Python with these arguments, so that exit code and signals are its own."""
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-P", *arguments])


@app.command()
def check(
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Format, and fix what ruff can.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check format, lint, types, imports, dependencies and generated files."""
    from local.checks.check import run_check  # noqa: PLC0415 - so that every other command starts sooner

    raise typer.Exit(Exit.OK if run_check(fix=fix, as_json=as_json) else Exit.FAILED)


@app.command(
    epilog="After a change of a route, an event, a setting, a dependency or a service:"
    " [bold]./hoop codegen[/]"
)
def codegen(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; list the stale files, exit code 1.")
    ] = False,
) -> None:
    """Write all files that are generated from the services and from requirements.lock."""
    from local.codegen.generate import run_codegen  # noqa: PLC0415 - it imports every service

    raise typer.Exit(Exit.OK if run_codegen(check=check) else Exit.FAILED)


@app.command(
    "new-service",
    epilog="Example: [bold]./hoop new-service webhooks[/] ·"
    " [bold]./hoop new-service crm-sync --event ContactChanged[/]",
)
def new_service(
    name: Annotated[str, typer.Argument(help="Lowercase letters, digits, hyphens.")],
    *,
    event: Annotated[
        str, typer.Option(metavar="TYPE", help="The event that it handles.")
    ] = "AppointmentCreated",
) -> None:
    """Write a new consumer, with its test and README, and register it everywhere.

    It posts each event to an HTTP endpoint, with the event's id as `Idempotency-Key`.
    """
    from local.cli.new_service import NameRefused, run_new_service  # noqa: PLC0415 - it imports every service

    try:
        raise typer.Exit(run_new_service(name, event_type=event))
    except NameRefused as refused:
        raise typer.BadParameter(f"{refused}.") from refused


@app.command(epilog="[bold]./hoop codegen[/] writes it together with the other generated files.")
def openapi(
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Write the file that booking serves.")
    ] = False,
) -> None:
    """Print the API's OpenAPI 3.1 document, generated from the route tables of all services."""
    from local.codegen.openapi import run_openapi  # noqa: PLC0415 - it imports every service

    run_openapi(write=write)


@app.command()
def doctor(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port that `up` would use.")
    ] = 8080,
    local: LocalFolder = LOCAL,
    as_json: AsJson = False,
) -> None:
    """List what is missing on this machine, why it is needed, and the command that fixes it."""
    from local.cli.doctor import run_doctor  # noqa: PLC0415 - so that every other command starts sooner

    raise typer.Exit(run_doctor(port=port, local=local.absolute(), as_json=as_json))


@app.command()
def clean(
    *,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also .venv and .cache: the next ./hoop installs them again."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Even while a system runs there.")] = False,
    local: LocalFolder = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Remove everything that `up` wrote."""
    from local.cli.clean import run_clean  # noqa: PLC0415 - so that every other command starts sooner

    raise typer.Exit(
        run_clean(local=local.absolute(), everything=everything, force=force, as_json=as_json)
    )
