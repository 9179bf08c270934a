"""PostgreSQL under root: it refuses to run as root, so it runs as `nobody`, in a folder `nobody` can reach."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from local.servers.process import CannotStart

Identity = dict[str, Any]
"""Arguments of `Popen` that set the user of the child process; empty: the same user."""

OPEN_FOLDERS = (Path("/var/tmp"), Path("/tmp"))  # noqa: S108 - mkdtemp creates names that cannot be guessed
_ALTERNATIVE = "Run ./hoop as an ordinary user, or set DATABASE_URL to a running server."
_NOTE, _PREFIX = "elsewhere", "hoop-postgres-"


def identity() -> Identity:
    """The user that the server runs as: the current one, or `nobody` under root."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise CannotStart(
            f"PostgreSQL refuses to run as root, and there is no user `nobody`. {_ALTERNATIVE}"
        ) from error
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def hand_over(path: Path, identity: Identity) -> None:
    """Make the server's user the owner of a file or folder."""
    if identity:
        os.chown(path, identity["user"], identity["group"])


def can_reach(path: Path, identity: Identity) -> bool:
    """Whether the user may enter the folder or run the file; tried out, because modes do not tell all."""
    try:
        attempt = subprocess.run(
            ["/bin/sh", "-c", 'test -x "$0"', path], check=False, timeout=60, cwd="/", **identity
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotStart(
            f"PostgreSQL refuses to run as root, and root cannot switch to `nobody` here ({error})."
            f" {_ALTERNATIVE}"
        ) from error
    return attempt.returncode == 0


def reachable_home(base: Path, identity: Identity) -> Path:
    """The folder for the server's files: `base`, or an external one whose path is noted in `base`.

    It is external if the server's user cannot reach `base`, for example below /root: the modes of
    existing folders are never changed.
    """
    if not identity:
        return base
    base.chmod(0o755)
    if home := _noted(base):
        return home
    if can_reach(base, identity):
        return base
    if (base / "data").exists():
        raise CannotStart(f"`nobody` can no longer reach {base}, which contains PostgreSQL's data.")
    return _create_external(base, identity)


def home_of(base: Path) -> Path:
    """The folder with the server's files for `base`."""
    return _noted(base) or base


def forget(base: Path) -> None:
    """Remove the external folder of `base`, if there is one."""
    if home := _noted(base):
        shutil.rmtree(home, ignore_errors=True)


def sweep() -> None:
    """Remove the external folders whose `base` no longer exists."""
    for parent in OPEN_FOLDERS:
        for home in parent.glob(f"{_PREFIX}*"):
            with contextlib.suppress(FileNotFoundError):  # another process is sweeping
                if home.stat().st_uid == os.geteuid() and not _is_used(home):
                    shutil.rmtree(home, ignore_errors=True)


def _create_external(base: Path, identity: Identity) -> Path:
    for parent in OPEN_FOLDERS:
        if parent.is_dir() and can_reach(parent, identity):
            home = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            home.chmod(0o755)
            (base / _NOTE).write_text(str(home))
            (home / "for").write_text(str(base))
            return home
    raise CannotStart(
        f"PostgreSQL refuses to run as root, and `nobody` cannot reach {base}. Choose a folder"
        f" that everybody may enter (--local DIR). Or: {_ALTERNATIVE}"
    )


def _noted(base: Path) -> Path | None:
    """The external folder of `base`, also after `base` was moved; None for a copy of `base`."""
    try:
        home = Path((base / _NOTE).read_text())
        former = Path((home / "for").read_text())
    except OSError:
        return None
    if former != base:
        if (former / _NOTE).exists():
            return None
        (home / "for").write_text(str(base))
    return home


def _is_used(home: Path) -> bool:
    try:
        base = Path((home / "for").read_text())
    except OSError:
        return True  # still being created
    return _noted(base) == home
