"""The command line of `./hoop`: its commands, their options and their help.

Standard library only: help, wrong usage, and the commands that need nothing else work before anything
is installed.
"""

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from local.install.environment import Parts
from local.paths import LOCAL

EXIT_CODES = (
    "Exit codes: 0 done · 1 failed · 2 wrong usage · 3 something is missing on this machine"
    " (./hoop doctor lists it) · 130 interrupted."
)


class Options(argparse.Namespace):
    """The options of one command, as parsed."""


class Parser(argparse.ArgumentParser):
    """A parser whose usage begins with a capital letter, and whose errors name the help."""

    def __init__(self, *, prog: str, about: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            description=about,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def format_usage(self) -> str:
        return re.sub(r"^usage:", "Usage:", super().format_usage())

    def format_help(self) -> str:
        return re.sub(r"^usage:", "Usage:", super().format_help())

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.format_usage()}✗ {message}. `{self.prog} --help` lists all.\n")


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command: what it is for, what has to be installed for it, its options, and what it does.

    passes_on: its arguments belong to another program; only `--help` alone is ours.
    """

    name: str
    about: str
    needs: Parts | None
    run: Callable[[Options], int]
    options: Callable[[Parser], None] = lambda _parser: None
    examples: Sequence[str] = ()
    passes_on: bool = False

    @property
    def parser(self) -> Parser:
        """The parser of its arguments."""
        shown = " · ".join(f"./hoop {example}" for example in self.examples)
        epilog = f"Examples: {shown}" if shown else ""
        parser = Parser(prog=f"./hoop {self.name}", about=self.about, epilog=epilog)
        if self.passes_on:
            parser.add_argument("arguments", nargs="*", help="arguments of that program")
        self.options(parser)
        return parser

    def parse(self, arguments: Sequence[str]) -> Options:
        """The options in these arguments; prints help or a wrong usage and leaves."""
        if not self.passes_on or arguments in (["-h"], ["--help"]):
            return self.parser.parse_args(arguments, Options())
        return Options(arguments=[*(arguments[1:] if arguments[:1] == ["--"] else arguments)])


def help_text(commands: Sequence[Command]) -> str:
    """The help of `./hoop`."""
    lines = "\n".join(f"  {one.name:<12} {one.about.partition(chr(10))[0]}" for one in commands)
    return (
        "Usage: ./hoop COMMAND [OPTIONS]\n\n"
        "Hoop: book, move and cancel appointments; everything else follows.\n\n"
        f"Commands:\n{lines}\n\n"
        "Options:\n  --help       Print this, or the help of a command.\n"
        "  --version    Print the version.\n\n"
        f"{EXIT_CODES}\n"
    )


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """The type of an option: a number within these bounds."""

    def number(text: str) -> int:
        try:
            found = int(text)
        except ValueError:
            found = lowest - 1
        if not lowest <= found <= highest:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {lowest} to {highest}")
        return found

    return number


def seconds(text: str) -> float:
    """The type of an option: seconds, one tenth at least."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.1 <= found <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0.1 to 86400")
    return found


def local_option(parser: Parser) -> None:
    """`--local`, which names a system."""
    parser.add_argument(
        "--local",
        metavar="DIR",
        type=lambda text: Path(text).absolute(),
        default=LOCAL,
        help="the folder of one system: data and logs",
    )


def json_option(parser: Parser) -> None:
    """`--json`, for programs."""
    parser.add_argument("--json", action="store_true", help="write JSON, for programs")


def port_option(parser: Parser) -> None:
    """`--port`, of the public API."""
    parser.add_argument(
        "--port",
        metavar="N",
        type=whole_number(0, 65_535),
        default=8080,
        help="port of the public API; 0 picks a free one",
    )
