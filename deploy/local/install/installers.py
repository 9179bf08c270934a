"""uv and pip: how the pinned packages come into `.venv`, and what their failures mean."""

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO

from local.install.progress import Counted, run_shown
from local.install.venv import PYTHON, Missing, output_of, pins_of, remove_venv, succeeds
from local.paths import CACHE, VENV

BASE = getattr(sys, "_base_executable", sys.executable)  # not that of .venv, which may be removed
OLDEST_PIP = (22, 3)  # the first one that installs into another environment

NO_VENV = """this Python cannot create virtual environments.
  Debian, Ubuntu:  sudo apt install python{}.{}-venv
  elsewhere:       put uv on the PATH; ./hoop uses it if it is there""".format(*sys.version_info)

NO_NETWORK = (
    r"NewConnectionError|ConnectTimeout|Name or service not known|getaddrinfo|dns error"
    r"|Network is unreachable|Connection refused|ReadTimeout|timed out|tcp connect error"
    r"|No matching distribution|Could not find a version"
)
ANOTHER_INDEX = (
    "connect to the network, or set PIP_INDEX_URL (uv: UV_DEFAULT_INDEX) to an index that this"
    " machine reaches, or HTTPS_PROXY to its proxy"
)
REASONS = (
    (
        r"ProxyError|Tunnel connection failed|407 Proxy",
        "the proxy refuses: HTTPS_PROXY is {proxy}",
        "correct or unset HTTPS_PROXY",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|invalid peer certificate",
        "the certificate of the package index is not trusted here",
        "set PIP_CERT and SSL_CERT_FILE to the file with your certificates",
    ),
    (
        r"DO NOT MATCH THE HASHES|Hash mismatch",
        "a package is not the file that was pinned",
        "use an index that serves the original files",
    ),
    (r"No space left", "the disk is full", "free some space, or move the tree"),
    (NO_NETWORK, "the package index cannot be reached", ANOTHER_INDEX),
)
"""What stands in the output of a failed installer, what that means, and the mend."""


def install_with_uv(pins: Path, lock: IO[str]) -> bool:
    """Install with uv, which is fast; returns whether it succeeded."""
    uv = shutil.which("uv")
    if not uv or not succeeds([uv, "--version"]):
        return False
    create: list[str | Path] = [uv, "venv", "--quiet", "--python", BASE, VENV]
    if not PYTHON.exists() and run_shown("creating .venv", create, lock, environment()) is not None:
        return False
    sync: list[str | Path] = [uv, "pip", "sync", "--require-hashes", "--python", PYTHON, pins]
    title = "installing the pinned packages with uv"
    counted = _counted(pins)
    if run_shown(title, sync, lock, environment(), counted) is None:
        return True
    again = [*sync, "--offline"]
    return run_shown(f"{title}, from its cache only", again, lock, environment(), counted) is None


def install_with_pip(pins: Path, lock: IO[str], *, keep: bool) -> None:
    """Install with pip; into a new venv, so that no old package stays, unless `keep`."""
    if not keep:
        remove_venv()
    if not PYTHON.exists():
        _create_venv(lock)
    pip = [BASE, "-m", "pip", "--python", PYTHON] if has_pip() else [PYTHON, "-m", "pip"]
    command = [*pip, "install", "--require-hashes", "--no-deps", "--no-compile", "-r", pins]
    title = "installing the pinned packages with pip"
    output = run_shown(title, command, lock, environment(), _counted(pins))
    if output is not None:
        raise Missing(explained(output))


def _create_venv(lock: IO[str]) -> None:
    """An environment without pip where this Python has one, which saves seconds and megabytes."""
    create = [BASE, "-m", "venv", VENV]
    if has_pip():
        create.append("--without-pip")
    elif not importlib.util.find_spec("ensurepip"):  # Debian without python3-venv and python3-pip
        raise Missing(NO_VENV)
    if run_shown("creating .venv", create, lock, environment()) is not None:
        raise Missing(NO_VENV)


@cache
def has_pip() -> bool:
    """Whether the pip of this Python can install into another environment."""
    # The Python below this one, if this one is that of an environment, which often has no pip.
    shown = output_of([BASE, "-m", "pip", "--version"])
    numbers = re.findall(r"\d+", shown.partition(" from ")[0])
    return tuple(map(int, numbers[:2])) >= OLDEST_PIP


def explained(output: str) -> str:
    """The sentence for the output of a failed installer, with the mend."""
    for sign, meaning, mend in REASONS:
        if re.search(sign, output):
            proxy = next((os.environ[name] for name in PROXIES if name in os.environ), "not set")  # noqa: TID251
            shown = re.sub(r"//[^/@]*@", "//…@", proxy)  # no password
            return (
                f"the packages could not be installed: {meaning.format(proxy=shown)}.\n"
                f"  {mend}; then run ./hoop again"
            )
    return "the packages could not be installed, see above; then run ./hoop again"


PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def _counted(pins: Path) -> Counted:
    """How many packages there are to install, and where they appear."""
    here = [text for text in pins_of(pins).values() if not _is_for_windows(text)]
    return Counted(VENV, len(here))


def _is_for_windows(entry: str) -> bool:
    return "sys_platform == 'win32'" in entry.partition("\n")[0]


def environment() -> Mapping[str, str]:
    """The environment of the installers: the user's, without settings that would break a venv."""
    own = dict(os.environ)  # noqa: TID251 - the installers need the settings of this machine
    variables = own | {
        "PIP_USER": "0",
        "PIP_PROGRESS_BAR": "off",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    home = Path(own.get("XDG_CACHE_HOME") or own.get("HOME", "/") + "/.cache")
    for tool in ("uv", "pip"):
        if not is_writable(home / tool):
            variables.setdefault(f"{tool.upper()}_CACHE_DIR", str(CACHE / tool))
    return variables


def is_writable(path: Path) -> bool:
    """Whether this user may create or write the path."""
    while not path.exists():
        path = path.parent
    return path.is_dir() and os.access(path, os.W_OK)
