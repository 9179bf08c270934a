"""The time a simulator believes in: real UTC, shifted by a knob and by a file the local stack shares."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path


class SimClock:
    """Tells the time; `offset_seconds` and the number in `offset_file` (seconds) are both added."""

    def __init__(self, offset_file: Path | None = None) -> None:
        self.offset_seconds = 0.0
        self._offset_file = offset_file

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC) + timedelta(seconds=self._offset())

    def _offset(self) -> float:
        return self.offset_seconds + self._shared_offset()

    def _shared_offset(self) -> float:
        """No file, or an empty one, means no shift; anything but a number is a mistake and says so."""
        if self._offset_file is None or not self._offset_file.exists():
            return 0.0
        return float(self._offset_file.read_text().strip() or 0)


def stamp(moment: datetime) -> str:
    """`2027-03-01T09:00:00.000Z`, the way all our documents write an instant."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
