"""`./hoop clean`: removes the folder of a system, unless the system still runs."""

import fcntl
import shutil
import sys
from json import dumps
from pathlib import Path

from local.cli.options import Exit
from local.cli.system_folder import is_alive, stack_pids
from local.paths import CACHE, LOCAL, MARK, VENV
from local.servers import unprivileged


def run_clean(*, local: Path, everything: bool, force: bool, as_json: bool) -> int:
    """Remove the folder of a system (with `everything` also .venv and .cache) and print the freed bytes."""
    if reason := why_not(local, force=force):
        print(f"hoop: {reason}", file=sys.stderr)
        return Exit.FAILED
    folders = [local, CACHE, VENV] if everything else [local]
    freed = {folder: remove(folder) for folder in folders if folder.is_dir()}
    unprivileged.sweep()  # data outside the folder, of a PostgreSQL that root started
    if as_json:
        print(dumps({"freed": {str(folder): size for folder, size in freed.items()}}))
        return Exit.OK
    for folder, size in freed.items():
        print(f"removed {folder}: {decimal(size)} freed")
    if not freed:
        print(f"nothing to remove: {local} does not exist")
    return Exit.OK


def why_not(local: Path, *, force: bool) -> str | None:
    """The reason why a folder must not be removed, or None: a system runs in it, or `up` did not create it."""
    if local.is_dir() and local != LOCAL and not (local / MARK).is_file():
        return f"{local} was not created by `./hoop up`; remove it yourself if you want to"
    if force:
        return None
    if pids := sorted(pid for pid in stack_pids(local) if is_alive(pid)):
        listed = ", ".join(map(str, pids))
        return f"a system runs in {local} (processes {listed}): stop it with Ctrl-C, or --force"
    owners = [*local.glob("owner"), *local.glob("*/owner")]
    if owned := [file for file in owners if is_locked(file)]:
        return f"a system runs in {local} ({owned[0]} is held): stop it with Ctrl-C, or --force"
    return None


def decimal(size: int) -> str:
    """Bytes as people write them."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.1f} {unit}" if unit != "bytes" else f"{size} bytes"
        size /= 1000  # type: ignore[assignment] # the unit grows as the number shrinks
    return f"{size:.1f} GB"


def is_locked(file: Path) -> bool:
    """Whether a process holds the lock of this file, as the owner of a folder does."""
    with file.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def remove(folder: Path) -> int:
    """Remove a folder; returns the freed bytes, without files that have links outside it."""
    found = [path.lstat() for path in folder.rglob("*")]
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)
    return sum(one.st_blocks * 512 for one in found if one.st_nlink == 1)
