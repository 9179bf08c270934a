"""requirements-runtime.lock: the part of requirements.lock that the images of the services need."""

from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local.checks.requirements import OURS, Pin, read_pins
from local.checks.workspace import members

NAME = "requirements-runtime.lock"
HEAD = """\
# Written by `./hoop codegen`: the pins of requirements.lock that the services and libraries need.
"""


class NotPinned(Exception):
    """A service or library declares a dependency that requirements.lock does not pin."""


def text(root: Path) -> str:
    """The content of the file."""
    pins = {pin.name: pin for pin in read_pins(root)}
    declared = set(_declared(root))
    if missing := sorted(declared - pins.keys()):
        raise NotPinned(f"{', '.join(missing)}: not in requirements.lock")
    needed = closure(declared, pins.values())
    return HEAD + "".join(_entry(pin, needed) for name, pin in pins.items() if name in needed)


def closure(declared: set[str], pins: Iterable[Pin]) -> set[str]:
    """The names of these distributions and of all that they require, directly or not."""
    needed, found = set(declared), set(declared)
    while found:
        found = {pin.name for pin in pins if pin.via & found} - needed
        needed |= found
    return needed


def _declared(root: Path) -> Iterable[str]:
    """The dependencies of the services and libraries, without those of the local stack."""
    all_members = members(root)
    ours = {member.name for member in all_members}
    for member in all_members:
        if member.folder.parent.name in ("services", "shared"):
            names = {canonicalize_name(Requirement(text).name) for text in member.dependencies}
            yield from names - ours


def _entry(pin: Pin, needed: set[str]) -> str:
    hashes = " \\\n".join(f"    --hash={one}" for one in pin.hashes)
    via = "".join(f"    #   {name}\n" for name in sorted(pin.via) if name in needed or name == OURS)
    return f"{pin.line} \\\n{hashes}\n    # via\n{via}"
