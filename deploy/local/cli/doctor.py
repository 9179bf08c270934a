"""`./hoop doctor`: what is missing on this machine, why it is needed, and what mends it."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import orjson
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from local.checks.repo_checks import read_pins
from local.cli.options import CACHE, ROOT, Exit
from local.servers import cluster, jvm
from local.servers.ports import is_free
from local.servers.process import CannotStart
from local.servers.settings import BackendSettings

GIB = 1024**3
DISK_WANTED, DISK_NEEDED = 3 * GIB, GIB
MEMORY_WANTED, MEMORY_NEEDED = 2 * GIB, GIB
FILES_WANTED = 1024
NEWEST_PYTHON = (3, 14)  # the lock was made for these; newer ones may have no wheels yet
ANSWER_LIMIT = 10.0  # seconds for another program to say its version


class State(StrEnum):
    """How serious a finding is; only `missing` keeps the system from running."""

    OK = "ok"
    WARN = "warn"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's: what was looked at and found, why it matters, what mends it."""

    name: str
    state: State
    found: str
    why: str = ""
    mend: str = ""


def run_doctor(*, port: int, local: Path, as_json: bool) -> int:
    """Look at everything and say it; the exit code says whether the system can run here."""
    given = BackendSettings()
    looks: list[Callable[[], Finding]] = [
        look_at_python,
        look_at_environment,
        lambda: look_at_java(given),
        lambda: look_at_kafka_jars(given),
        lambda: look_at_postgres(given),
        lambda: look_at_port(port),
        lambda: look_at_writing([ROOT, CACHE, local]),
        lambda: look_at_disk(nearest(local)),
        look_at_memory,
        look_at_open_files,
        look_at_docker,
    ]
    with ThreadPoolExecutor() as threads:
        findings = list(threads.map(lambda look: look(), looks))
    ok = all(finding.state is not State.MISSING for finding in findings)
    if as_json:
        print(orjson.dumps({"ok": ok, "findings": [asdict(each) for each in findings]}).decode())
    else:
        show(Console(), findings)
    return Exit.OK if ok else Exit.MISSING


def show(console: Console, findings: list[Finding]) -> None:
    """Show a line for each, and below it why and how to mend it when it is not ok."""
    colours = {State.OK: "green", State.WARN: "yellow", State.MISSING: "bold red"}
    table = Table("", "", "", box=None, show_header=False, pad_edge=False)
    for finding in findings:
        state = f"[{colours[finding.state]}]{finding.state}[/]"
        table.add_row(state, finding.name, finding.found)
        if finding.state is not State.OK:
            table.add_row("", "", finding.why)
            table.add_row("", "", f"[bold]{finding.mend}[/]")
    console.print(table, highlight=False)


def look_at_python() -> Finding:
    here, why = sys.version_info[:2], "requirements.lock was made for Python 3.11 to 3.14"
    found = f"{sys.version.split()[0]} in {sys.prefix}"
    state = State.OK if here <= NEWEST_PYTHON else State.WARN
    return Finding("Python", state, found, why, "./hoop clean --all, then: python3.13 hoop up")


def look_at_environment() -> Finding:
    pins = [pin for pin in read_pins(ROOT) if pin.applies_here()]
    wrong = [pin.name for pin in pins if _installed(pin.name) != str(pin.version)]
    if not wrong:
        return Finding("packages", State.OK, f"{len(pins)} as pinned in requirements.lock")
    found = f"{len(wrong)} of {len(pins)} are not as pinned: {', '.join(wrong[:5])}"
    why = "everything was tested with exactly the pinned versions"
    return Finding("packages", State.MISSING, found, why, f"rm -r '{ROOT}/.venv'; ./hoop doctor")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def look_at_java(given: BackendSettings) -> Finding:
    if given.kafka_bootstrap:
        return Finding("Java", State.OK, "not needed: KAFKA_BOOTSTRAP gives a broker")
    try:
        java = jvm.find_java()
    except CannotStart as problem:
        return Finding(
            "Java", State.MISSING, "none", str(problem), "sudo apt install openjdk-17-jre-headless"
        )
    return Finding("Java", State.OK, f"{java.release} ({java.origin})")


def look_at_kafka_jars(given: BackendSettings) -> Finding:
    if given.kafka_bootstrap:
        return Finding("Kafka", State.OK, f"given: {given.kafka_bootstrap}")
    folder, jars = given.hoop_kafka_jars or jvm.CACHE, jvm.kafka_jars()
    there = sum((folder / jar.file).is_file() for jar in jars)
    found = f"{there} of {len(jars)} jars in {folder}"
    if there == len(jars):
        return Finding("Kafka", State.OK, found)
    why = "fetched at the first start, checked by SHA-256; without a network they must lie there"
    return Finding("Kafka", State.WARN, found, why, "./hoop up (HOOP_MAVEN_URL names a mirror)")


def look_at_postgres(given: BackendSettings) -> Finding:
    if given.database_url:
        return Finding("PostgreSQL", State.OK, "given: DATABASE_URL")
    try:
        binaries = cluster.find_binaries(given)
        said = ask(str(binaries.folder / "postgres"), "--version")
    except CannotStart as problem:
        return Finding(
            "PostgreSQL", State.MISSING, "none", str(problem), "./hoop clean --all; ./hoop doctor"
        )
    if said is None:
        why = "the server's own binaries must run on this system"
        found = f"{binaries.folder}/postgres does not run"
        return Finding("PostgreSQL", State.MISSING, found, why, "sudo apt install postgresql")
    return Finding("PostgreSQL", State.OK, f"{said} ({binaries.origin})")


def look_at_port(port: int) -> Finding:
    if port == 0 or is_free(port):
        return Finding("port", State.OK, f"{port} is free")
    why = "the public API listens there unless told otherwise"
    return Finding("port", State.WARN, f"{port} is taken", why, "./hoop up --port 0")


def look_at_writing(folders: list[Path]) -> Finding:
    closed = [str(path) for path in folders if not is_open(nearest(path))]
    if not closed:
        return Finding("writing", State.OK, "allowed where it is needed")
    why = "the environment, data and logs lie there"
    mend = f"sudo chown -R {os.geteuid()} {' '.join(closed)}"
    return Finding("writing", State.MISSING, f"not allowed in {', '.join(closed)}", why, mend)


def is_open(folder: Path) -> bool:
    """Say whether we may write there."""
    return folder.is_dir() and os.access(folder, os.W_OK)


def nearest(path: Path) -> Path:
    """Return the path, or the folder above it that exists."""
    return next(one for one in (path, *path.parents) if one.exists())


def look_at_disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    why = f"packages, jars and data take up to {decimal(DISK_WANTED)}"
    found = f"{decimal(free)} free in {folder}"
    mend = "./hoop up --local DIR, on another disk"
    return Finding("disk", _enough(free, DISK_WANTED, DISK_NEEDED), found, why, mend)


def look_at_memory() -> Finding:
    free = _free_memory()
    if free is None:
        return Finding("memory", State.OK, "this system does not say")
    why = f"Kafka, PostgreSQL and the services take about {decimal(MEMORY_NEEDED)}"
    state = _enough(free, MEMORY_WANTED, MEMORY_NEEDED)
    return Finding("memory", state, f"{decimal(free)} free", why, "end what else is running")


def _free_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kib = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return int(kib) * 1024


def _enough(have: int, wanted: int, needed: int) -> State:
    if have >= wanted:
        return State.OK
    return State.WARN if have >= needed else State.MISSING


def look_at_open_files() -> Finding:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    state = State.OK if limit >= FILES_WANTED or limit == resource.RLIM_INFINITY else State.WARN
    why = "every connection and every segment of a topic is an open file"
    return Finding("open files", state, f"at most {limit}", why, f"ulimit -n {FILES_WANTED}")


def look_at_docker() -> Finding:
    said = ask("docker", "version", "--format", "{{.Server.Version}}")
    if said is None:
        return Finding("Docker", State.OK, "none, and none is needed")
    return Finding("Docker", State.OK, f"{said}: the tests take their servers from it")


def ask(*command: str) -> str | None:
    """Return what a program says in one line, or None when it does not run well."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            timeout=ANSWER_LIMIT,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None
