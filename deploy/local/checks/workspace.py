"""The workspace: its files, its distributions and their packages."""

import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IGNORED = {".git", ".venv", ".cache", ".local", "__pycache__", "node_modules"}


@dataclass(frozen=True)
class Member:
    """One distribution of the workspace: its folder, name, package and declared dependencies."""

    folder: Path
    name: str
    package: str
    dependencies: tuple[str, ...]


def member_folders(root: Path) -> list[Path]:
    """The folders of all distributions, sorted, from the patterns of the root pyproject.toml."""
    with (root / "pyproject.toml").open("rb") as file:
        patterns = tomllib.load(file)["tool"]["uv"]["workspace"]["members"]
    found = (path.parent for text in patterns for path in root.glob(f"{text}/pyproject.toml"))
    return sorted(found)


def read_member(folder: Path) -> Member:
    """What the pyproject.toml of a distribution says."""
    with (folder / "pyproject.toml").open("rb") as file:
        content = tomllib.load(file)
    project = content["project"]
    return Member(
        folder=folder,
        name=project["name"],
        package=content["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"][0],
        dependencies=tuple(project.get("dependencies", ())),
    )


def members(root: Path) -> list[Member]:
    """All distributions, sorted by folder."""
    return [read_member(folder) for folder in member_folders(root)]


def our_files(root: Path) -> list[Path]:
    """The files of the tree: all that git tracks or would add; without git, all but caches."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, capture_output=True, check=False, timeout=60)
    if listing.returncode == 0:
        names = listing.stdout.decode().split("\0")
        return [path for name in names if name and (path := root / name).is_file()]
    return [path for path in _walk(root) if path.is_file()]


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in IGNORED or path.name.endswith("_cache"):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path
