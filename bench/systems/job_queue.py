"""What a queue of jobs in PostgreSQL has to offer to be measured: ours, or a library's."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

CONCURRENCY = 16
"""Jobs at a time, of every queue."""

OnStart = Callable[[str], None]
"""Called with a job's name as it starts; the job does nothing else."""


class JobQueue(Protocol):
    """A queue in a database of its own, on the server that all share."""

    async def fill(self, count: int) -> None:
        """Remove what is there, and add so many jobs that are due, as fast as that goes."""

    async def enqueue(self, job: str) -> None:
        """Add one job, as an application does; it is committed on return."""

    def working(self, on_start: OnStart) -> AbstractAsyncContextManager[None]:
        """Run one worker meanwhile."""
