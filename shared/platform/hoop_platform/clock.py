"""Business time: the system's clock, plus an offset that tests and simulators may share in a file."""

from datetime import UTC, datetime, timedelta
from pathlib import Path


class Clock:
    """The clock of business rules; leases and attempts use the database's clock."""

    def __init__(self, offset_file: Path | None = None) -> None:
        self._offset_file = offset_file

    def now(self) -> datetime:
        """The current instant in UTC; the offset file, if there is one, holds seconds."""
        return datetime.now(UTC) + self._offset()  # noqa: TID251 -- the only reader of the system clock

    def _offset(self) -> timedelta:
        if self._offset_file is None or not self._offset_file.exists():
            return timedelta()
        return timedelta(seconds=float(self._offset_file.read_text().strip() or 0))
