"""What we hold our tree to and no tool checks: the lock in step, nothing dead, no addresses."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

WANTED = "requirements.in"
LOCK = "requirements.lock"
NOT_OURS = {".git", ".venv", ".cache", ".local", "__pycache__", "node_modules"}
NOT_IMPORTED = ("command:", "plugin:")

# In pieces, so that this file does not say what it forbids.
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


@dataclass(frozen=True)
class Wanted:
    """One line of requirements.in."""

    requirement: Requirement
    reason: str

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True)
class Pin:
    """One entry of requirements.lock."""

    requirement: Requirement
    hashes: int
    asked_by_us: bool

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> Version:
        return Version(next(iter(self.requirement.specifier)).version)

    def applies_here(self) -> bool:
        """Say whether this interpreter on this system needs it."""
        return self.requirement.marker is None or self.requirement.marker.evaluate()


def read_wanted(root: Path) -> list[Wanted]:
    lines = (root / WANTED).read_text().splitlines()
    return [
        Wanted(Requirement(text.strip()), reason.strip())
        for text, _, reason in (line.partition("#") for line in lines)
        if text.strip()
    ]


def read_pins(root: Path) -> list[Pin]:
    """Read the lock: entries begin in the first column, hashes and reasons are indented."""
    entries = re.split(r"^(?=\w)", (root / LOCK).read_text(), flags=re.MULTILINE)
    return [
        Pin(
            Requirement(entry.partition("\n")[0].removesuffix("\\").strip()),
            hashes=entry.count("--hash=sha256:"),
            asked_by_us=f"-r {WANTED}" in entry,
        )
        for entry in entries
        if entry[:1].isalnum()
    ]


def lock_in_step(root: Path) -> Iterator[str]:
    """Yield where requirements.lock is not what requirements.in asks for."""
    wanted, pins = {line.name: line for line in read_wanted(root)}, read_pins(root)
    asked = {pin.name for pin in pins if pin.asked_by_us}
    yield from (f"{WANTED}: {name} is not in {LOCK}" for name in sorted(wanted.keys() - asked))
    yield from (
        f"{LOCK}: {name} is no longer in {WANTED}" for name in sorted(asked - wanted.keys())
    )
    for pin in pins:
        if not pin.hashes:
            yield f"{LOCK}: {pin.name} has no hash"
        line = wanted.get(pin.name)
        if line and pin.version not in line.requirement.specifier:
            yield f"{LOCK}: {pin.name} {pin.version} is not {line.requirement}"


def our_files(root: Path) -> list[Path]:
    """List the files of the tree: what git tracks or would, or without git what is ours."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, capture_output=True, check=False, timeout=60)
    if listing.returncode == 0:
        names = listing.stdout.decode().split("\0")
        return [path for name in names if name and (path := root / name).is_file()]
    return [path for path in _walk(root) if path.is_file()]


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in NOT_OURS or path.name.endswith("_cache"):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path


def addresses(root: Path) -> Iterator[str]:
    """Yield where a file names a package registry: whoever builds may have another one."""
    for path in our_files(root):
        text = path.read_bytes().decode(errors="ignore")
        for number, line in enumerate(text.splitlines(), start=1):
            if found := ADDRESS.search(line):
                yield f"{path.relative_to(root)}:{number}: names an address: {found[0]}"


def requirements_used(root: Path) -> Iterator[str]:
    """Yield what requirements.in names in vain, and what is imported or declared without it."""
    wanted = read_wanted(root)
    names = {line.name for line in wanted}
    imported = {path: set(_imports(path)) for path in our_files(root) if path.suffix == ".py"}
    everything = set().union(*imported.values())
    for line in wanted:
        used = line.reason.startswith(NOT_IMPORTED) or everything & _modules(line.name)
        if not used:
            yield f"{WANTED}: nothing imports {line.name}"
    owners = packages_distributions()
    for path, modules in imported.items():
        for module in sorted({module.partition(".")[0] for module in modules}):
            if not _is_named(owners.get(module, ()), names):
                yield f"{path.relative_to(root)}: imports {module}, which {WANTED} does not name"
    yield from _declared_elsewhere(root, names)


def _is_named(owners: Iterable[str], names: set[str]) -> bool:
    distributions = {canonicalize_name(owner) for owner in owners}
    return not distributions or bool(distributions & names)


def _imports(path: Path) -> Iterator[str]:
    """Yield the dotted names a file imports; a name out of a package may be a module of it."""
    try:
        tree = ast.parse(path.read_bytes(), path)
    except SyntaxError:
        return  # ruff says it better
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _modules(distribution: str) -> set[str]:
    """Name the modules that an installed distribution brings."""
    try:
        files = Distribution.from_name(distribution).files or []
    except PackageNotFoundError:
        return set()
    return {
        ".".join([*file.parts[:-1], file.name.partition(".")[0]]).removesuffix(".__init__")
        for file in files
        if file.suffix in {".py", ".so"}
    }


def members(root: Path) -> list[Path]:
    """List the folders of the workspace's distributions."""
    with (root / "pyproject.toml").open("rb") as file:
        patterns = tomllib.load(file)["tool"]["uv"]["workspace"]["members"]
    found = (path.parent for text in patterns for path in root.glob(f"{text}/pyproject.toml"))
    return sorted(found)


def _declared_elsewhere(root: Path, names: set[str]) -> Iterator[str]:
    own = {member: _project(member) for member in members(root)}
    ours = {project["name"] for project in own.values()}
    for member, project in own.items():
        for text in project.get("dependencies", ()):
            name = canonicalize_name(Requirement(text).name)
            if name not in names | ours:
                where = member.relative_to(root)
                yield f"{where}/pyproject.toml: {name} is not in {WANTED}"


def _project(member: Path) -> dict[str, str | list[str]]:
    with (member / "pyproject.toml").open("rb") as file:
        project: dict[str, str | list[str]] = tomllib.load(file)["project"]
    return project


RULES = {
    "lock in step": lock_in_step,
    "no addresses": addresses,
    "nothing dead": requirements_used,
}


def main(name: str, root: str) -> int:
    """Hold one rule in a process of its own; say each breach on a line."""
    breaches = list(RULES[name](Path(root)))
    print("\n".join(breaches))
    return bool(breaches)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
