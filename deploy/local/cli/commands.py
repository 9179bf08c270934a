"""The commands of `./hoop`, in the order of its help, and the choice of one. Standard library only."""

import sys
import tomllib
from collections.abc import Sequence

from local.cli import development, running
from local.cli.command_line import Command, Options, help_text
from local.cli.options import Exit, WrongUsage
from local.paths import ROOT

ALL = (*running.COMMANDS, *development.COMMANDS)
COMMANDS = {command.name: command for command in ALL}


def parse(arguments: Sequence[str]) -> tuple[Command, Options]:
    """The command that these arguments name, and its options; prints help or wrong usage and leaves."""
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(help_text(ALL), end="")
        raise SystemExit(Exit.OK)
    if name == "--version":
        print(f"hoop {_version()}")
        raise SystemExit(Exit.OK)
    if name not in COMMANDS:
        known = ", ".join(COMMANDS)
        print(f"Usage: ./hoop COMMAND\n✗ {name!r} is no command: {known}.", file=sys.stderr)
        raise SystemExit(Exit.USAGE)
    return COMMANDS[name], COMMANDS[name].parse(rest)


def _version() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def run(command: Command, options: Options) -> int:
    """Run a command; returns the exit code."""
    try:
        return command.run(options)
    except WrongUsage as wrong:
        print(f"✗ {wrong}", file=sys.stderr)
        return Exit.USAGE


def main(arguments: Sequence[str]) -> int:
    """Run the command that these arguments name; returns the exit code."""
    return run(*parse(arguments))
