"""`./hoop doctor`: lists what is missing on this machine, why it is needed, and how to fix it."""

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

from local.checks.requirements import read_pins
from local.cli.options import Exit
from local.paths import CACHE, ROOT
from local.servers import cluster, jvm
from local.servers.ports import is_free
from local.servers.process import CannotStart
from local.servers.settings import BackendSettings

GIB = 1024**3
DISK_RECOMMENDED, DISK_REQUIRED = 3 * GIB, GIB
MEMORY_RECOMMENDED, MEMORY_REQUIRED = 2 * GIB, GIB
FILES_RECOMMENDED = 1024
NEWEST_PYTHON = (3, 14)  # the lock was compiled for these; newer ones may have no wheels yet
VERSION_LIMIT = 10.0  # seconds for another program to print its version


class Severity(StrEnum):
    """How serious a finding is; only with `missing` the system cannot run."""

    OK = "ok"
    WARN = "warn"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """One finding: the name of the check, its result, why that matters, and the command that fixes it."""

    name: str
    state: Severity
    found: str
    why: str = ""
    mend: str = ""


def run_doctor(*, port: int, local: Path, as_json: bool) -> int:
    """Run all checks and print the findings; returns the exit code, `MISSING` if the system cannot run."""
    settings = BackendSettings()
    checks: list[Callable[[], Finding]] = [
        check_python,
        check_environment,
        lambda: check_java(settings),
        lambda: check_kafka_jars(settings),
        lambda: check_postgres(settings),
        lambda: check_port(port),
        lambda: check_writing([ROOT, CACHE, local]),
        lambda: check_disk(nearest(local)),
        check_memory,
        check_open_files,
        check_docker,
    ]
    with ThreadPoolExecutor() as threads:
        findings = list(threads.map(lambda check: check(), checks))
    ok = all(finding.state is not Severity.MISSING for finding in findings)
    if as_json:
        print(orjson.dumps({"ok": ok, "findings": [asdict(each) for each in findings]}).decode())
    else:
        show(Console(), findings)
    return Exit.OK if ok else Exit.MISSING


def show(console: Console, findings: list[Finding]) -> None:
    """Print a line for each finding, and below it the reason and the fix if it is not ok."""
    colours = {Severity.OK: "green", Severity.WARN: "yellow", Severity.MISSING: "bold red"}
    table = Table("", "", "", box=None, show_header=False, pad_edge=False)
    for finding in findings:
        state = f"[{colours[finding.state]}]{finding.state}[/]"
        table.add_row(state, finding.name, finding.found)
        if finding.state is not Severity.OK:
            table.add_row("", "", finding.why)
            table.add_row("", "", f"[bold]{finding.mend}[/]")
    console.print(table, highlight=False)


def check_python() -> Finding:
    running, why = sys.version_info[:2], "requirements.lock was compiled for Python 3.11 to 3.14"
    found = f"{sys.version.split()[0]} in {sys.prefix}"
    state = Severity.OK if running <= NEWEST_PYTHON else Severity.WARN
    return Finding("Python", state, found, why, "./hoop clean --all, then: python3.13 hoop up")


def check_environment() -> Finding:
    pins = [pin for pin in read_pins(ROOT) if pin.applies_here()]
    wrong = [pin.name for pin in pins if _installed(pin.name) != str(pin.version)]
    if not wrong:
        return Finding("packages", Severity.OK, f"{len(pins)} as pinned in requirements.lock")
    found = f"{len(wrong)} of {len(pins)} are not as pinned: {', '.join(wrong[:5])}"
    why = "everything was tested with exactly the pinned versions"
    return Finding("packages", Severity.MISSING, found, why, f"rm -r '{ROOT}/.venv'; ./hoop doctor")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check_java(settings: BackendSettings) -> Finding:
    if settings.kafka_bootstrap:
        return Finding("Java", Severity.OK, "not needed: KAFKA_BOOTSTRAP names a broker")
    try:
        java = jvm.find_java()
    except CannotStart as problem:
        return Finding(
            "Java",
            Severity.MISSING,
            "none",
            str(problem),
            "sudo apt install openjdk-17-jre-headless",
        )
    return Finding("Java", Severity.OK, f"{java.release} ({java.origin})")


def check_kafka_jars(settings: BackendSettings) -> Finding:
    if settings.kafka_bootstrap:
        return Finding("Kafka", Severity.OK, f"external: {settings.kafka_bootstrap}")
    folder, jars = settings.hoop_kafka_jars or jvm.JARS, jvm.kafka_jars()
    present = sum((folder / jar.file).is_file() for jar in jars)
    found = f"{present} of {len(jars)} jars in {folder}"
    if present == len(jars):
        return Finding("Kafka", Severity.OK, found)
    why = (
        "fetched at the first start, checked by SHA-256; without a network put them there yourself"
    )
    return Finding("Kafka", Severity.WARN, found, why, "./hoop up (HOOP_MAVEN_URL names a mirror)")


def check_postgres(settings: BackendSettings) -> Finding:
    if settings.database_url:
        return Finding("PostgreSQL", Severity.OK, "external: DATABASE_URL")
    try:
        binaries = cluster.find_binaries(settings)
        output = output_of(str(binaries.folder / "postgres"), "--version")
    except CannotStart as problem:
        return Finding(
            "PostgreSQL",
            Severity.MISSING,
            "none",
            str(problem),
            "./hoop clean --all; ./hoop doctor",
        )
    if output is None:
        why = "the server's own binaries must run on this system"
        found = f"{binaries.folder}/postgres does not run"
        return Finding("PostgreSQL", Severity.MISSING, found, why, "sudo apt install postgresql")
    return Finding("PostgreSQL", Severity.OK, f"{output} ({binaries.origin})")


def check_port(port: int) -> Finding:
    if port == 0 or is_free(port):
        return Finding("port", Severity.OK, f"{port} is free")
    why = "the public API listens there by default"
    return Finding("port", Severity.WARN, f"{port} is taken", why, "./hoop up --port 0")


def check_writing(folders: list[Path]) -> Finding:
    closed = [str(path) for path in folders if not is_open(nearest(path))]
    if not closed:
        return Finding("writing", Severity.OK, "allowed in every folder that is needed")
    why = "the environment, data and logs are written there"
    mend = f"sudo chown -R {os.geteuid()} {' '.join(closed)}"
    return Finding("writing", Severity.MISSING, f"not allowed in {', '.join(closed)}", why, mend)


def is_open(folder: Path) -> bool:
    """Whether this user may write into the folder."""
    return folder.is_dir() and os.access(folder, os.W_OK)


def nearest(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    return next(one for one in (path, *path.parents) if one.exists())


def check_disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    why = f"packages, jars and data take up to {decimal(DISK_RECOMMENDED)}"
    found = f"{decimal(free)} free in {folder}"
    mend = "./hoop up --local DIR, on another disk"
    return Finding("disk", _enough(free, DISK_RECOMMENDED, DISK_REQUIRED), found, why, mend)


def check_memory() -> Finding:
    free = _free_memory()
    if free is None:
        return Finding("memory", Severity.OK, "not known on this system")
    why = f"Kafka, PostgreSQL and the services take about {decimal(MEMORY_REQUIRED)}"
    state = _enough(free, MEMORY_RECOMMENDED, MEMORY_REQUIRED)
    return Finding("memory", state, f"{decimal(free)} free", why, "stop other programs")


def _free_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kib = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return int(kib) * 1024


def _enough(have: int, recommended: int, required: int) -> Severity:
    if have >= recommended:
        return Severity.OK
    return Severity.WARN if have >= required else Severity.MISSING


def check_open_files() -> Finding:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    state = (
        Severity.OK
        if limit >= FILES_RECOMMENDED or limit == resource.RLIM_INFINITY
        else Severity.WARN
    )
    why = "every connection and every segment of a topic is an open file"
    return Finding("open files", state, f"at most {limit}", why, f"ulimit -n {FILES_RECOMMENDED}")


def check_docker() -> Finding:
    output = output_of("docker", "version", "--format", "{{.Server.Version}}")
    if output is None:
        return Finding("Docker", Severity.OK, "none, and none is needed")
    return Finding("Docker", Severity.OK, f"{output}: the tests take their servers from it")


def output_of(*command: str) -> str | None:
    """The output of a program, or None if it cannot be run or fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            timeout=VERSION_LIMIT,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None
