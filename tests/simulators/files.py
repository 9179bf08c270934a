"""The files of a simulator: its log, the shared clock offset, and its state at the last stop."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNREADABLE = (pickle.UnpicklingError, AttributeError, EOFError, ImportError, TypeError)


@dataclass(frozen=True)
class SimulatorFiles:
    """All optional. `state` is read at the start and written at an orderly stop."""

    log: Path | None = None
    clock_offset: Path | None = None
    state: Path | None = None

    def load_snapshot(self) -> Any:
        """The state at the last stop; None if there is none, or if another version has written it."""
        if self.state is None or not self.state.exists():
            return None
        try:
            return pickle.loads(self.state.read_bytes())
        except UNREADABLE:
            return None

    def save_snapshot(self, snapshot: Any) -> None:
        """Write the state for the next start, atomically."""
        if self.state is not None:
            unfinished = self.state.with_suffix(".new")
            unfinished.write_bytes(pickle.dumps(snapshot))
            unfinished.replace(self.state)
