"""What `./hoop up` is asked with, where things lie, and what an exit code means."""

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LOCAL = ROOT / ".local"  # what one running system writes: data, logs, stack.json
CACHE = ROOT / ".cache"  # what any system may use again: Kafka's jars
STACK_FILE = "stack.json"  # in the folder of the system, while it runs
MARK = ".hoop"  # in each folder that `up` has made its own, so that `clean` removes no other


class Exit(IntEnum):
    """The exit codes of `./hoop`; the tests of others (pytest, bench) keep their own."""

    OK = 0
    FAILED = 1
    USAGE = 2
    MISSING = 3  # this machine lacks something; `./hoop doctor` says what
    INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """How the system is to run.

    local: the folder of its data, logs and stack.json, absolute. Two folders, two systems.
    port: where the public API listens on loopback; 0 lets the system choose.
    split: one process for each service instead of all in one.
    demo: show the demonstration once everything is ready.
    once: leave after the demonstration, with `Exit.OK` when it came out as it should.
    json: say on stdout only what a program reads, one JSON object a line.
    """

    local: Path = LOCAL
    port: int = 8080
    split: bool = False
    demo: bool = True
    once: bool = False
    json: bool = False
