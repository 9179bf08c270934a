"""Progress on standard error: a bar on a terminal, a line for each step in a log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@dataclass(frozen=True)
class ProgressReporter:
    """Writes lines and progress bars to a console."""

    console: Console

    def line(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False)

    @contextmanager
    def steps(self, title: str, count: int) -> Iterator["Steps"]:
        """Count `count` steps; each begins with `next(name)` and ends with the following one."""
        if not self.console.is_terminal:
            yield Steps(self, title, count)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True) as bar:
            yield Steps(self, title, count, bar)


class Steps:
    """The steps of one measure."""

    def __init__(
        self, progress: ProgressReporter, title: str, count: int, bar: Progress | None = None
    ) -> None:
        self._progress = progress
        self._title = title
        self._count = count
        self._begun = 0
        self._bar = bar
        self._task = bar.add_task(title, total=count) if bar else None

    def next(self, name: str) -> None:
        """Begin the next step."""
        self._begun += 1
        if self._bar is not None and self._task is not None:
            description = f"{self._title}: {name}"
            self._bar.update(self._task, completed=self._begun - 1, description=description)
        else:
            self._progress.line(f"  {self._title} {self._begun}/{self._count}: {name}")


def stderr_progress() -> ProgressReporter:
    """Return a reporter that writes to standard error."""
    return ProgressReporter(Console(file=sys.stderr))
