"""The commands for whoever changes Hoop. What a command needs is imported when it runs."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from local.cli.command_line import Command, Options, Parser, json_option
from local.cli.options import Exit, WrongUsage
from local.install.environment import Parts
from local.paths import ROOT

TWO_WORKERS = ("-n", "2", "--dist", "loadgroup")
"""pytest's options for a run of all tests, which mostly wait; `conftest.py` makes the groups."""


def _test(options: Options) -> NoReturn:
    _become("-m", "pytest", *(_from_here(options.arguments) or TWO_WORKERS))


def _bench(options: Options) -> NoReturn:
    _become(str(ROOT / "bench"), *_from_here(options.arguments))


def _from_here(arguments: Sequence[str]) -> list[str]:
    """Make paths absolute that are relative to the caller's folder: the command runs in the root."""
    if Path.cwd() == ROOT:
        return list(arguments)
    return [
        str(Path(text).absolute()) if Path(text.partition("::")[0]).exists() else text
        for text in arguments
    ]


def _become(*arguments: str) -> NoReturn:
    """Replace this process by Python with these arguments, so that exit code and signals are its own."""
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-P", *arguments])


def _check(options: Options) -> int:
    from local.checks.check import run_check  # noqa: PLC0415 - needs all that is installed

    return Exit.OK if run_check(fix=options.fix, as_json=options.json) else Exit.FAILED


def _check_options(parser: Parser) -> None:
    parser.add_argument("--fix", action="store_true", help="format, and fix what ruff can")
    json_option(parser)


def _codegen(options: Options) -> int:
    from local.codegen.generate import run_codegen  # noqa: PLC0415 - it imports every service

    return Exit.OK if run_codegen(check=options.check) else Exit.FAILED


def _codegen_options(parser: Parser) -> None:
    parser.add_argument(
        "--check", action="store_true", help="write nothing; list the stale files, exit code 1"
    )


def _new_service(options: Options) -> int:
    from local.cli.new_service import NameRefused, run_new_service  # noqa: PLC0415 - it imports every service

    try:
        return run_new_service(options.name, event_type=options.event)
    except NameRefused as refused:
        raise WrongUsage(str(refused)) from refused


def _new_service_options(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="lowercase letters, digits, hyphens")
    parser.add_argument(
        "--event",
        metavar="TYPE",
        default="AppointmentCreated",
        help="the event that it handles",
    )


def _openapi(options: Options) -> int:
    from local.codegen.openapi import run_openapi  # noqa: PLC0415 - it imports every service

    run_openapi(write=options.write)
    return Exit.OK


def _openapi_options(parser: Parser) -> None:
    parser.add_argument("--write", action="store_true", help="write the file that booking serves")


COMMANDS = (
    Command(
        name="test",
        about="Run the tests on real Kafka and real PostgreSQL; the exit code is pytest's.\n\n"
        "Without arguments all tests run, two at a time; with arguments pytest gets exactly those.\n"
        "The tests that take minutes run with `./hoop test -m long`.",
        needs=Parts.ALL,
        run=_test,
        examples=("test services/booking", "test -- -k reschedule"),
        passes_on=True,
    ),
    Command(
        name="check",
        about="Check format, lint, types, imports, dependencies and generated files.",
        needs=Parts.ALL,
        run=_check,
        options=_check_options,
    ),
    Command(
        name="bench",
        about="Measure the performance, as multiples of a baseline measured in the same run.",
        needs=Parts.ALL,
        run=_bench,
        examples=("bench -- --help",),
        passes_on=True,
    ),
    Command(
        name="codegen",
        about="Write all files that are generated from the services and from requirements.lock.",
        needs=Parts.ALL,
        run=_codegen,
        options=_codegen_options,
        examples=("codegen",),
    ),
    Command(
        name="new-service",
        about="Write a new consumer, with its test and README, and register it everywhere.\n\n"
        "It posts each event to an HTTP endpoint, with the event's id as `Idempotency-Key`.",
        needs=Parts.ALL,
        run=_new_service,
        options=_new_service_options,
        examples=("new-service webhooks", "new-service crm-sync --event ContactChanged"),
    ),
    Command(
        name="openapi",
        about="Print the API's OpenAPI 3.1 document, generated from the routes of all services.",
        needs=Parts.ALL,
        run=_openapi,
        options=_openapi_options,
    ),
)
