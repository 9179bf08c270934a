"""The options of `./hoop up` and the exit codes of `./hoop`."""

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from local.paths import LOCAL


class Exit(IntEnum):
    """The exit codes of `./hoop`; `test` and `bench` keep the codes of pytest and the benchmarks."""

    OK = 0
    FAILED = 1
    USAGE = 2
    MISSING = 3  # a requirement of this machine is not met; `./hoop doctor` lists them
    INTERRUPTED = 130


class WrongUsage(Exception):
    """The command cannot be meant like this; one sentence says why, and what is possible."""


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """The options of `./hoop up`.

    local: the folder of the system's data, logs and stack.json, absolute. One folder, one system.
    port: the port of the public API on loopback; 0 picks a free one.
    split: one process for each service instead of one process for all.
    demo: run the demonstration once everything is ready.
    once: stop after the demonstration, with `Exit.OK` if every effect came true.
    json: write one JSON object a line to stdout instead of text.
    zoom_limit: creates and updates that the simulated Zoom allows a user in a day; None: many.
    poll: seconds between two looks at Google's calendars; None: two.
    limits: limit requests as in production, and show a key with limits.
    """

    local: Path = LOCAL
    port: int = 8080
    split: bool = False
    demo: bool = True
    once: bool = False
    json: bool = False
    zoom_limit: int | None = None
    poll: float | None = None
    limits: bool = False

    @property
    def local_option(self) -> str:
        """The words that name the folder in another command of `./hoop`; empty for the usual one."""
        return "" if self.local == LOCAL else f" --local {quoted(self.local)}"


def quoted(path: Path) -> str:
    """The path as a word for a shell."""
    text = str(path)
    return f"'{text}'" if " " in text else text
