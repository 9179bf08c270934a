"""Fixtures for the tests of the launcher `hoop`: a small tree, quick to install."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from local.paths import ROOT

PROGRAM = """
import json, os, signal, sys
print(json.dumps({"arguments": sys.argv[1:], "pid": os.getpid()}), flush=True)
if "wait" in sys.argv:
    signal.pause()
sys.exit(int(sys.argv[-1]) if sys.argv[-1].isdigit() else 0)
"""


UV_STUB = """for last; do :; done
if [ $1 = venv ]; then exec "{python}" -m venv --without-pip "$last"; fi"""
"""A program that creates virtual environments as uv does, without pip, and installs nothing."""
COPIED = ("cli", "install", "servers", "paths.py", "__init__.py")
"""The parts of `local` that run before anything is installed."""


class Tree:
    """A small tree with the real launcher, one pinned package and a program that prints its arguments."""

    def __init__(self, root: Path) -> None:
        self.root, self.site = root, root / ".venv/lib"
        self.started: list[subprocess.Popen[str]] = []
        environ = os.environ  # noqa: TID251 - the installers need the settings of this machine
        kept = {
            name: environ[name]
            for name in environ
            if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
        }
        self.settings: dict[str, str] = {**kept, "PATH": os.defpath}
        self.write("deploy/local/__main__.py", PROGRAM)
        for name in COPIED:
            source, target = ROOT / "deploy/local" / name, root / "deploy/local" / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, target)
        shutil.copy2(ROOT / "hoop", root / "hoop")
        shutil.copy2(ROOT / "pyproject.toml", root / "pyproject.toml")
        self.pin("iniconfig")
        uv = shutil.which("uv")
        self.uv = f'exec "{uv}" "$@"' if uv else "exit 1"
        self.working_uv = self.uv if uv else UV_STUB.format(python=sys.executable)
        self.tool("uv", self.uv)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def pin(self, *names: str, local: Sequence[str] = ()) -> None:
        """Write the two locks: `names` are pinned for everything, and `local` for `up`, or all of them."""
        entries = re.split(r"^(?=\w)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
        for lock, wanted in (("requirements", names), ("requirements-up", local or names)):
            chosen = [entry for entry in entries if entry.partition("==")[0] in wanted]
            self.write(f"{lock}.lock", "".join(chosen))

    def tool(self, name: str, script: str) -> None:
        """Put a shell script of this name first on the PATH."""
        self.write(f"tools/{name}", f"#!/bin/sh\n{script}\n").chmod(0o755)
        self.settings["PATH"] = f"{self.root / 'tools'}:{os.defpath}"

    def pretend(self, code: str) -> None:
        """Make every Python of this tree run the code first."""
        self.write("pretend/sitecustomize.py", f"import sys\n{code}\n")
        self.settings["PYTHONPATH"] = str(self.root / "pretend")

    def start(self, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, self.root / "hoop", *arguments],
            cwd=cwd,
            env=self.settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        for process in self.started:
            with process, contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def hoop(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.finish(self.start(*arguments, cwd=cwd))

    def finish(self, process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
        stdout, stderr = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def packages(self) -> set[str]:
        return {path.name.partition("-")[0] for path in self.site.rglob("*.dist-info")} - {
            "pip",
            "setuptools",
        }


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    root = tmp_path / "a tree, with späces"
    root.mkdir()
    tree = Tree(root)
    yield tree
    tree.end()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Restores SIGINT: a test run in the background ignores it, and so would every process it starts."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)
