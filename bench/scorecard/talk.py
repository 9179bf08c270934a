"""Progress on standard error: a bar for people, a line now and then for logs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@dataclass(frozen=True)
class Talk:
    """Says what is going on."""

    console: Console

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False)

    @contextmanager
    def steps(self, title: str, count: int) -> Iterator["Steps"]:
        """Count steps: each is announced by its name and ends with the next."""
        if not self.console.is_terminal:
            yield Steps(self, title, count)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True) as bar:
            yield Steps(self, title, count, bar)


class Steps:
    """The steps of one measure."""

    def __init__(self, talk: Talk, title: str, count: int, bar: Progress | None = None) -> None:
        self._talk = talk
        self._title = title
        self._count = count
        self._done = 0
        self._bar = bar
        self._task = bar.add_task(title, total=count) if bar else None

    def next(self, name: str) -> None:
        self._done += 1
        if self._bar is not None and self._task is not None:
            said = f"{self._title}: {name}"
            self._bar.update(self._task, completed=self._done - 1, description=said)
        else:
            self._talk.say(f"  {self._title} {self._done}/{self._count}: {name}")


def talk() -> Talk:
    """To whoever started us."""
    return Talk(Console(file=sys.stderr))
