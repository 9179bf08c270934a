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


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """The options of `./hoop up`.

    local: the folder of the system's data, logs and stack.json, absolute. One folder, one system.
    port: the port of the public API on loopback; 0 picks a free one.
    split: one process for each service instead of one process for all.
    demo: run the demonstration once everything is ready.
    once: stop after the demonstration, with `Exit.OK` if every effect came true.
    json: write one JSON object a line to stdout instead of text.
    """

    local: Path = LOCAL
    port: int = 8080
    split: bool = False
    demo: bool = True
    once: bool = False
    json: bool = False
