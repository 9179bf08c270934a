"""When a worker looks for work again, and where that look begins."""

import asyncio
from dataclasses import replace
from datetime import datetime

from hoop_platform.reconcile.claims import Look, Position

POLL_SECONDS = 8.0
"""How often a worker looks for what other processes have left behind."""
FULL_LOOK_SECONDS = 2.0
"""How often a look begins at the very first desired state, not where the last look began."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between looks that find nothing although something is due: its users are busy."""


class LookTimes:
    """When a worker has to look for work again, and where the look begins."""

    def __init__(self) -> None:
        self.due_at = 0.0
        self.position = Position()
        self._full_at = 0.0
        self._pause = SHORTEST_PAUSE

    def position_of_next(self) -> Position:
        """Where the last look began, and now and then the very first desired state."""
        now = asyncio.get_running_loop().time()
        if now < self._full_at:
            return self.position
        self._full_at = now + FULL_LOOK_SECONDS
        return replace(self.position, since=None)

    def include(self, due_start: datetime) -> None:
        """Something is due that the next look would pass over: let it begin there."""
        since = self.position.since
        if since is not None:
            self.position = replace(self.position, since=min(since, due_start))

    def pause_after(self, look: Look) -> float:
        """The seconds until the next look, which is due then."""
        seconds = POLL_SECONDS if look.next_in is None else min(look.next_in, POLL_SECONDS)
        if seconds > 0 or look.claimed:
            self._pause = SHORTEST_PAUSE
        else:
            self._pause = seconds = min(2 * self._pause, LONGEST_PAUSE)
        self.due_at = asyncio.get_running_loop().time() + seconds
        return max(seconds, 0.0)
