"""The files of a simulator: its log, the shared clock offset, and what it knew when it last stopped."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNREADABLE = (pickle.UnpicklingError, AttributeError, EOFError, ImportError, TypeError)


@dataclass(frozen=True)
class Files:
    """All optional. `state` is read at the start and written at an orderly stop."""

    log: Path | None = None
    clock_offset: Path | None = None
    state: Path | None = None

    def kept(self) -> Any:
        """What was kept at the last stop; None when nothing was, or another version kept it."""
        if self.state is None or not self.state.exists():
            return None
        try:
            return pickle.loads(self.state.read_bytes())
        except UNREADABLE:
            return None

    def keep(self, memory: Any) -> None:
        """Keep this for the next start, whole or not at all."""
        if self.state is not None:
            unfinished = self.state.with_suffix(".new")
            unfinished.write_bytes(pickle.dumps(memory))
            unfinished.replace(self.state)
