"""The temporary folder of a test run, and the removal of those that killed runs left."""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

from local.servers import unprivileged
from local.servers.process import CannotStart, disown, end_leftover, own

_PREFIX = "hoop-test-"
_NEW = 5.0  # seconds for which a folder may exist before its creator owns it


async def make_tmpdir() -> Path:
    """Create a folder that this process owns, after removing those whose owners have ended."""
    for folder in _old_folders():
        with contextlib.suppress(CannotStart):
            await remove_tmpdir(folder)
    folder = own(Path(tempfile.mkdtemp(prefix=_PREFIX)))
    folder.chmod(0o755)  # root's servers run as another user
    return folder


async def remove_tmpdir(folder: Path) -> None:
    """Stop the servers that still run in the folder and remove it; `CannotStart` if a process owns it."""
    own(folder)
    await end_leftover("postgres", unprivileged.home_of(folder / "postgres"), signal.SIGINT)
    await end_leftover("kafka", folder / "kafka", signal.SIGTERM)
    unprivileged.forget(folder / "postgres")
    shutil.rmtree(folder, ignore_errors=True)
    disown(folder)


def _old_folders() -> list[Path]:
    found = []
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # its owner has removed it
            stat = folder.stat()
            if stat.st_uid == os.geteuid() and time.time() - stat.st_mtime > _NEW:
                found.append(folder)
    return found
