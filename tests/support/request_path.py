"""A tracer: which files and functions of ours one piece of work enters, in the order of a reader."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import CodeType, FrameType

ROOT = Path(__file__).parents[2]
PRODUCT = ("services", "shared")
PARTS = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>")
"""They belong to the function around them."""


@dataclass
class RequestPath:
    """The functions that one task has entered, each once, in the order of the first entry."""

    functions: dict[CodeType, str] = field(default_factory=dict)
    """With the file of each, from the root of the repository."""

    def files(self, package: str = "") -> list[str]:
        """The files below a package's folder, in the order of the first entry."""
        return [file for file in dict.fromkeys(self.functions.values()) if package in file]

    def visits(self, package: str) -> Counter[str]:
        """How often somebody who reads each function at its first entry opens each file of a package.

        A visit is a run of functions of one file, without a function of another file of the package
        in between.
        """
        within = [file for file in self.functions.values() if package in file]
        return Counter(file for file, _ in groupby(within))

    def summary(self, package: str) -> str:
        files, visits = self.files(), self.visits(package)
        return (
            f"{len(files)} files, {len(self.functions)} functions;"
            f" {len(visits)} files of {package}, {visits.total()} visits"
        )

    def listing(self) -> str:
        """Each function with its file, as they are entered."""
        return "\n".join(f"{file}: {code.co_qualname}" for code, file in self.functions.items())


@contextmanager
def recording() -> Iterator[list[RequestPath]]:
    """Record the tasks of this thread; the list is filled at the end of the block."""
    tasks: dict[int, RequestPath] = {}
    kept: list[object] = []  # tasks, so that no id is used twice
    known: dict[str, str | None] = {}
    found: list[RequestPath] = []

    def enter(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or code.co_name in PARTS:
            return
        if code.co_filename not in known:
            known[code.co_filename] = _file(code.co_filename)
        file, task = known[code.co_filename], _task()
        if file is not None and task is not None:
            if id(task) not in tasks:
                tasks[id(task)] = RequestPath()
                kept.append(task)
            tasks[id(task)].functions.setdefault(code, file)

    sys.setprofile(enter)
    try:
        yield found
    finally:
        sys.setprofile(None)
        found += tasks.values()


def _task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        return None


def _file(name: str) -> str | None:
    """The file from the root of the repository; None for one that is not of the product."""
    path = Path(name)
    if not path.is_relative_to(ROOT):
        return None
    parts = path.relative_to(ROOT).parts
    return str(Path(*parts)) if parts[0] in PRODUCT and "tests" not in parts else None
