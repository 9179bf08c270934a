"""PostgreSQL refuses to run as root, so root runs it as `nobody`: in a place that nobody can reach."""

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
"""Arguments of `Popen` that make the child somebody else; empty: it stays who we are."""

OPEN_PLACES = (Path("/var/tmp"), Path("/tmp"))  # noqa: S108 - made by mkdtemp, never a guessable name
_ORDINARY = "Run ./hoop as an ordinary user, or give a server with DATABASE_URL."
_NOTE, _PREFIX = "elsewhere", "hoop-postgres-"


def identity() -> Identity:
    """Say as whom the server is to run: as ourselves, or as `nobody` where we are root."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise CannotStart(
            f"PostgreSQL refuses to run as root, no user `nobody`. {_ORDINARY}"
        ) from error
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def hand_over(path: Path, identity: Identity) -> None:
    """Give a file or folder to the user that the server runs as."""
    if identity:
        os.chown(path, identity["user"], identity["group"])


def can_reach(path: Path, identity: Identity) -> bool:
    """Say whether the folder may be entered, the file be run. Asked by trying: modes may lie."""
    try:
        tried = subprocess.run(
            ["/bin/sh", "-c", 'test -x "$0"', path], check=False, timeout=10, cwd="/", **identity
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotStart(
            f"PostgreSQL refuses to run as root, and this root may not become `nobody` ({error})."
            f" {_ORDINARY}"
        ) from error
    return tried.returncode == 0


def reachable_home(base: Path, identity: Identity) -> Path:
    """Give the folder for the server's files: `base`, or one elsewhere that `base` remembers.

    Elsewhere when the way to `base` is closed, as it is below /root; we open nobody's folders.
    """
    if not identity:
        return base
    base.chmod(0o755)
    if home := _noted(base):
        return home
    if can_reach(base, identity):
        return base
    if (base / "data").exists():
        raise CannotStart(f"`nobody` can no longer reach {base}, where PostgreSQL's data are.")
    return _make_elsewhere(base, identity)


def home_of(base: Path) -> Path:
    """Say where the server's files for `base` lie, if it was ever started."""
    return _noted(base) or base


def forget(base: Path) -> None:
    """Remove what was put elsewhere for `base`."""
    if home := _noted(base):
        shutil.rmtree(home, ignore_errors=True)


def sweep() -> None:
    """Remove what was put elsewhere for folders that are gone."""
    for place in OPEN_PLACES:
        for home in place.glob(f"{_PREFIX}*"):
            with contextlib.suppress(FileNotFoundError):  # somebody else is sweeping
                if home.stat().st_uid == os.geteuid() and not _is_wanted(home):
                    shutil.rmtree(home, ignore_errors=True)


def _make_elsewhere(base: Path, identity: Identity) -> Path:
    for place in OPEN_PLACES:
        if place.is_dir() and can_reach(place, identity):
            home = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
            home.chmod(0o755)
            (base / _NOTE).write_text(str(home))
            (home / "for").write_text(str(base))
            return home
    raise CannotStart(
        f"PostgreSQL refuses to run as root, and `nobody` cannot reach {base}. Choose a folder"
        f" that everybody may enter (--local DIR). Or: {_ORDINARY}"
    )


def _noted(base: Path) -> Path | None:
    """Give the place elsewhere that is for `base`, also when `base` was moved; not for its copy."""
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


def _is_wanted(home: Path) -> bool:
    try:
        base = Path((home / "for").read_text())
    except OSError:
        return True  # it is being made
    return _noted(base) == home
