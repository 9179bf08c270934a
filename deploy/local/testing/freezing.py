"""Replicas of a service that stop themselves at a failpoint, as a process does whose machine is paused."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local.testing.polling import eventually

FROZEN_SECONDS = 65.0
"""More than three leases, and more than any call to a provider may take."""

LONGEST_WAIT = 300.0
"""Seconds until a replica passes its failpoint."""


class Replica:
    """A process of a service; with a `point` it stops itself when it passes that failpoint."""

    def __init__(
        self, package: str, environment: Mapping[str, str], folder: Path, point: str | None
    ) -> None:
        self.point = point
        orders = folder / str(point)
        orders.mkdir()
        self._order = orders / str(point)
        if point is not None:
            self._order.write_text("stop")
        self._log = (folder / f"{point}.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", package, "serve"],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,  # noqa: TID251 -- handed on
                **environment,
                "HTTP_PORT": "0",
                "FAILPOINT_DIR": str(orders),
            },
        )

    @property
    def is_frozen(self) -> bool:
        """Whether the replica has passed its failpoint, and so has stopped itself."""
        assert self.process.poll() is None
        return not self._order.exists()

    async def _stopped_itself(self) -> bool:
        return self.is_frozen

    async def thaw(self) -> None:
        """Let the replica go on, `FROZEN_SECONDS` after it has stopped itself."""
        await eventually(self._stopped_itself, within=LONGEST_WAIT)
        await asyncio.sleep(FROZEN_SECONDS)
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self._log.close()


@contextmanager
def replicas(
    package: str, folder: Path
) -> Iterator[Callable[[Mapping[str, str], str | None], Replica]]:
    """Starts replicas of a service, by environment and failpoint; all of them are ended."""
    started: list[Replica] = []

    def start(environment: Mapping[str, str], point: str | None) -> Replica:
        started.append(Replica(package, environment, folder, point))
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            one.end()
