"""What was published of the events: schemas and golden records, and the manifest of their SHA-256.

`shared/events/published.sha256` has the format of sha256sum and only ever gains lines. A file that it
names is never edited and never removed, since records of that revision stay in the topics.
"""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

FOLDER = "shared/events"
MANIFEST = f"{FOLDER}/published.sha256"


@dataclass(frozen=True)
class Published:
    """The published files of a tree; one that was edited or removed is reported, and not read."""

    root: Path

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 by file name, relative to `FOLDER`; without a manifest nothing was published."""
        path = self.root / MANIFEST
        lines = path.read_text().splitlines() if path.exists() else []
        return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}

    @cached_property
    def schemas(self) -> dict[str, dict[int, Any]]:
        """The schemas by event type and revision."""
        return self._read("schemas")

    @cached_property
    def golden(self) -> dict[str, dict[int, Any]]:
        """The golden records by event type and revision: objects of named records."""
        return self._read("golden")

    def newest(self, event: str) -> int:
        """The number of the newest revision of an event type; 0 for a new type."""
        return max(self.numbers(event), default=0)

    def numbers(self, event: str) -> list[int]:
        """The revisions of an event type that the manifest names, whatever became of the files."""
        prefix = f"schemas/{event}/"
        return sorted(int(Path(name).stem) for name in self.digests if name.startswith(prefix))

    def types(self) -> list[str]:
        """The event types of which something was published."""
        return sorted({name.split("/")[1] for name in self.digests})

    def state_of(self, name: str) -> str:
        """`removed`, `edited` or `intact`."""
        path = self.root / FOLDER / name
        if not path.exists():
            return "removed"
        return "intact" if digest(path.read_bytes()) == self.digests[name] else "edited"

    def is_intact(self, event: str) -> bool:
        """Whether all revisions of an event type are there, as they were published; true of a new type."""
        numbers = self.numbers(event)
        return numbers == [*range(1, len(numbers) + 1)] == sorted(self.schemas.get(event, ()))

    def _read(self, folder: str) -> dict[str, dict[int, Any]]:
        found: dict[str, dict[int, Any]] = {}
        for name in self.digests:
            if name.startswith(f"{folder}/") and self.state_of(name) == "intact":
                event, number = name.split("/")[1], int(Path(name).stem)
                content = orjson.loads((self.root / FOLDER / name).read_bytes())
                found.setdefault(event, {})[number] = content
        return found


def digest(content: bytes) -> str:
    """SHA-256 in hex, as sha256sum prints it."""
    return sha256(content).hexdigest()
