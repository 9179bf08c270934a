"""A folder for one run of the tests, and the removal of what killed runs left."""

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
_BEING_MADE = 5.0  # seconds in which a folder may exist before its maker owns it


async def make_tmpdir() -> Path:
    """Make the folder, owned by this process, after removing those whose owners died."""
    for folder in _old_ones():
        with contextlib.suppress(CannotStart):
            await remove_tmpdir(folder)
    folder = own(Path(tempfile.mkdtemp(prefix=_PREFIX)))
    folder.chmod(0o755)  # root's servers run as somebody else
    return folder


async def remove_tmpdir(folder: Path) -> None:
    """End the servers that still run in the folder and remove it, if no living process owns it."""
    own(folder)
    await end_leftover("postgres", unprivileged.home_of(folder / "postgres"), signal.SIGINT)
    await end_leftover("kafka", folder / "kafka", signal.SIGTERM)
    unprivileged.forget(folder / "postgres")
    shutil.rmtree(folder, ignore_errors=True)
    disown(folder)


def _old_ones() -> list[Path]:
    found = []
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # its owner was faster
            about = folder.stat()
            if about.st_uid == os.geteuid() and time.time() - about.st_mtime > _BEING_MADE:
                found.append(folder)
    return found
