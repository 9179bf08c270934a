"""A simulator's clock: real UTC, shifted by a knob and by a file that the local stack shares."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path


class SimClock:
    """Real time plus `offset_seconds` plus the number (seconds) in `offset_file`."""

    def __init__(self, offset_file: Path | None = None) -> None:
        self.offset_seconds = 0.0
        self._offset_file = offset_file

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC) + timedelta(seconds=self._offset())

    def _offset(self) -> float:
        return self.offset_seconds + self._shared_offset()

    def _shared_offset(self) -> float:
        """0 without a file or with an empty one. Raises ValueError for anything but a number."""
        if self._offset_file is None or not self._offset_file.exists():
            return 0.0
        return float(self._offset_file.read_text().strip() or 0)


def format_instant(moment: datetime) -> str:
    """The instant as `2027-03-01T09:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
