"""The rules of this repository that no tool checks: lock in step, no addresses, nothing unused."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local.checks.requirements import LOCK, OURS, REQUIREMENTS, read_pins, read_requirements
from local.checks.workspace import members, our_files

NOT_IMPORTED = ("command:", "plugin:")

# In pieces, so that this file does not contain what it forbids.
REGISTRIES = [
    "".join(pieces)
    for pieces in (
        ("py", "pi.org"),
        ("python", "hosted.org"),
        ("npm", "js.org"),
        ("npm", "js.com"),
        ("maven", ".org"),
        ("maven", ".apache.org"),
        ("proxy", ".golang.org"),
        ("docker", ".io"),
        ("ghcr", ".io"),
        ("quay", ".io"),
    )
]
ADDRESS = re.compile(
    "|".join(re.escape(host) for host in REGISTRIES)
    + r"|(index-url|find-links|trusted-host)[ =]+\S*\w\.\w"
    + r"|https?://[^\s\"']+/(simple|maven2)(?![\w-])"
)


def lock_in_step(root: Path) -> Iterator[str]:
    """Breaches: where requirements.lock does not pin what requirements.in requires."""
    required, pins = {line.name: line for line in read_requirements(root)}, read_pins(root)
    direct = {pin.name for pin in pins if OURS in pin.via}
    yield from (
        f"{REQUIREMENTS}: {name} is not in {LOCK}" for name in sorted(required.keys() - direct)
    )
    yield from (
        f"{LOCK}: {name} is no longer in {REQUIREMENTS}"
        for name in sorted(direct - required.keys())
    )
    for pin in pins:
        if not pin.hashes:
            yield f"{LOCK}: {pin.name} has no hash"
        line = required.get(pin.name)
        if line and pin.version not in line.requirement.specifier:
            yield f"{LOCK}: {pin.name} {pin.version} is not {line.requirement}"


def addresses(root: Path) -> Iterator[str]:
    """Breaches: where a file names a package registry, which others may reach elsewhere or not at all."""
    for path in our_files(root):
        text = path.read_bytes().decode(errors="ignore")
        for number, line in enumerate(text.splitlines(), start=1):
            if found := ADDRESS.search(line):
                yield f"{path.relative_to(root)}:{number}: names an address: {found[0]}"


def requirements_used(root: Path) -> Iterator[str]:
    """Breaches: lines of requirements.in that nothing uses; imports and declarations that it lacks."""
    required = read_requirements(root)
    names = {line.name for line in required}
    imported = {path: set(_imports(path)) for path in our_files(root) if path.suffix == ".py"}
    everything = set().union(*imported.values())
    for line in required:
        used = line.reason.startswith(NOT_IMPORTED) or everything & _modules(line.name)
        if not used:
            yield f"{REQUIREMENTS}: nothing imports {line.name}"
    owners = packages_distributions()
    for path, modules in imported.items():
        for module in sorted({module.partition(".")[0] for module in modules}):
            if not _is_named(owners.get(module, ()), names):
                yield f"{path.relative_to(root)}: imports {module}, which {REQUIREMENTS} does not name"
    yield from _declared_elsewhere(root, names)


def _is_named(owners: Iterable[str], names: set[str]) -> bool:
    distributions = {canonicalize_name(owner) for owner in owners}
    return not distributions or bool(distributions & names)


def _imports(path: Path) -> Iterator[str]:
    """The dotted names that a file imports; a name imported from a package may be a module."""
    try:
        tree = ast.parse(path.read_bytes(), path)
    except SyntaxError:
        return  # ruff reports it
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _modules(distribution: str) -> set[str]:
    """The dotted names of the modules in an installed distribution."""
    try:
        files = Distribution.from_name(distribution).files or []
    except PackageNotFoundError:
        return set()
    return {
        ".".join([*file.parts[:-1], file.name.partition(".")[0]]).removesuffix(".__init__")
        for file in files
        if file.suffix in {".py", ".so"}
    }


def _declared_elsewhere(root: Path, names: set[str]) -> Iterator[str]:
    all_members = members(root)
    ours = {member.name for member in all_members}
    for member in all_members:
        for text in member.dependencies:
            name = canonicalize_name(Requirement(text).name)
            if name not in names | ours:
                folder = member.folder.relative_to(root)
                yield f"{folder}/pyproject.toml: {name} is not in {REQUIREMENTS}"


RULES = {
    "lock in step": lock_in_step,
    "no addresses": addresses,
    "nothing dead": requirements_used,
}


def main(name: str, root: str) -> int:
    """Check one rule and print each breach on a line; returns 1 if there are any."""
    breaches = list(RULES[name](Path(root)))
    print("\n".join(breaches))
    return bool(breaches)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
