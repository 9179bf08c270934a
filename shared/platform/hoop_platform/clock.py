"""Business time: the system's clock, plus an offset that tests and simulators may share in a file."""

from datetime import UTC, datetime, timedelta
from pathlib import Path


class Clock:
    """Tells what time it is for the rules of booking; leases and attempts use the database's."""

    def __init__(self, offset_file: Path | None = None) -> None:
        self._offset_file = offset_file

    def now(self) -> datetime:
        """Now, in UTC. The file, if there is one, holds the offset in seconds."""
        return datetime.now(UTC) + self._offset()  # noqa: TID251 -- the one place that asks

    def _offset(self) -> timedelta:
        if self._offset_file is None or not self._offset_file.exists():
            return timedelta()
        return timedelta(seconds=float(self._offset_file.read_text().strip() or 0))
