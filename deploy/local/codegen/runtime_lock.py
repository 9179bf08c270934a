"""The parts of requirements.lock that are installed alone: by the images of the services, and by `./hoop up`."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local.checks.requirements import OURS, Pin, read_pins
from local.checks.workspace import members


@dataclass(frozen=True)
class PartialLock:
    """A generated lock: its file, for whom it is, and the folders whose members declare what it pins."""

    name: str
    purpose: str
    folders: frozenset[str]

    @property
    def head(self) -> str:
        """The first line of the file."""
        return (
            f"# Written by `./hoop codegen`: the pins of requirements.lock that {self.purpose}.\n"
        )


RUNTIME = PartialLock(
    "requirements-runtime.lock",
    "the services and libraries need",
    frozenset({"services", "shared"}),
)
LOCAL = PartialLock(
    "requirements-up.lock", "`./hoop up` needs", frozenset({"services", "shared", "deploy"})
)


class NotPinned(Exception):
    """A service or library declares a dependency that requirements.lock does not pin."""


def text(root: Path, lock: PartialLock = RUNTIME) -> str:
    """The content of the file."""
    pins = {pin.name: pin for pin in read_pins(root)}
    declared = set(_declared(root, lock.folders))
    if missing := sorted(declared - pins.keys()):
        raise NotPinned(f"{', '.join(missing)}: not in requirements.lock")
    needed = closure(declared, pins.values())
    return lock.head + "".join(_entry(pin, needed) for name, pin in pins.items() if name in needed)


def closure(declared: set[str], pins: Iterable[Pin]) -> set[str]:
    """The names of these distributions and of all that they require, directly or not."""
    needed, found = set(declared), set(declared)
    while found:
        found = {pin.name for pin in pins if pin.via & found} - needed
        needed |= found
    return needed


def _declared(root: Path, folders: frozenset[str]) -> Iterable[str]:
    """The dependencies of the members in these folders, without other members."""
    all_members = members(root)
    ours = {member.name for member in all_members}
    for member in all_members:
        if folders & {member.folder.parent.name, member.folder.name}:
            names = {canonicalize_name(Requirement(text).name) for text in member.dependencies}
            yield from names - ours


def _entry(pin: Pin, needed: set[str]) -> str:
    hashes = " \\\n".join(f"    --hash={one}" for one in pin.hashes)
    via = "".join(f"    #   {name}\n" for name in sorted(pin.via) if name in needed or name == OURS)
    return f"{pin.line} \\\n{hashes}\n    # via\n{via}"
