"""requirements.in and requirements.lock as data."""

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REQUIREMENTS = "requirements.in"
LOCK = "requirements.lock"
OURS = f"-r {REQUIREMENTS}"
"""Stands among the `via` of a pin that requirements.in names."""


@dataclass(frozen=True)
class RequirementLine:
    """One line of requirements.in: a requirement and the reason for it."""

    requirement: Requirement
    reason: str

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True)
class Pin:
    """One entry of requirements.lock. `via`: the distributions that require it, or `OURS`."""

    line: str
    requirement: Requirement
    hashes: tuple[str, ...]
    via: frozenset[str]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> Version:
        return Version(next(iter(self.requirement.specifier)).version)

    def applies_here(self) -> bool:
        """Whether this interpreter on this system needs it."""
        return self.requirement.marker is None or self.requirement.marker.evaluate()


def read_requirements(root: Path) -> list[RequirementLine]:
    """The lines of requirements.in, without comment lines."""
    lines = (root / REQUIREMENTS).read_text().splitlines()
    return [
        RequirementLine(Requirement(text.strip()), reason.strip())
        for text, _, reason in (line.partition("#") for line in lines)
        if text.strip()
    ]


def read_pins(root: Path) -> list[Pin]:
    """The entries of requirements.lock: they begin in the first column, hashes and `via` are indented."""
    entries = re.split(r"^(?=\w)", (root / LOCK).read_text(), flags=re.MULTILINE)
    return [_pin(entry) for entry in entries if entry[:1].isalnum()]


def _pin(entry: str) -> Pin:
    first, _, rest = entry.partition("\n")
    _, _, via = rest.partition("# via")
    line = first.removesuffix("\\").strip()
    return Pin(
        line,
        Requirement(line),
        hashes=tuple(re.findall(r"--hash=(sha256:\w+)", rest)),
        via=frozenset(text for line in via.splitlines() if (text := line.strip(" #"))),
    )
