"""What all tests share: one real PostgreSQL and one real Kafka for the run, a fresh database for each asking."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeVar

import asyncpg
import pytest

from hoop_platform.config import with_database
from hoop_platform.db.database import Database
from hoop_platform.db.migrate import migrate
from local.servers import backends, tmpdir
from local.servers.backends import Backend, Choice, Part
from local.servers.settings import BackendSettings

CHOICES = pytest.StashKey[dict[Part, Choice]]()
RUN = secrets.token_hex(4)  # in the name of each database, for the server may be shared
Start = Callable[[Part], Backend]
Result = TypeVar("Result")


class NewDatabase(Protocol):
    """What the fixture `new_database` gives."""

    async def __call__(self, *packages: str) -> Database:
        """Give an empty database with the migrations of `shared` and of these packages."""


def pytest_configure(config: pytest.Config) -> None:
    """Choose what to run on. A SIGTERM is taken for a Ctrl-C, so that everything is stopped."""
    config.stash[CHOICES] = backends.choose(BackendSettings())
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """When tests run side by side: a file stays together, and so do all that share the system."""
    for item in items:
        shared = "system" in getattr(item, "fixturenames", ())
        name = "system" if shared else str(item.path)
        item.add_marker(pytest.mark.xdist_group(name))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what the tests run on, and why."""
    return [str(choice) for choice in config.stash[CHOICES].values()]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what tests have measured (`record_property`): a figure that only passed tells nobody much."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        if report.user_properties and report.when == "call":
            said = ", ".join(f"{name} {value}" for name, value in report.user_properties)
            terminalreporter.write_line(f"{report.nodeid}: {said}")


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end on a loop of its own: what lives for the session belongs to no test's loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def start_backend(pytestconfig: pytest.Config) -> Iterator[Start]:
    """Starts a part for the rest of the session; all of them are stopped at its end."""
    with ExitStack() as at_the_end:
        folder = _run(tmpdir.make_tmpdir())
        at_the_end.callback(lambda: _run(tmpdir.remove_tmpdir(folder)))

        def start(part: Part) -> Backend:
            backend = _run(backends.start(pytestconfig.stash[CHOICES][part], folder))
            at_the_end.callback(lambda: _run(backend.stop()))
            return backend

        yield start


@pytest.fixture(scope="session")
def postgres_server(start_backend: Start) -> Backend:
    """The PostgreSQL of this run, started when the first test asks for it."""
    return start_backend("PostgreSQL")


@pytest.fixture(scope="session")
def postgres_dsn(postgres_server: Backend) -> str:
    """The address of the database `postgres`, for a role that may create databases."""
    return postgres_server.address


@pytest.fixture(scope="session")
def postgres_log(postgres_server: Backend) -> Path | None:
    """What PostgreSQL writes; None where it is not ours to read."""
    return postgres_server.log


@pytest.fixture(scope="session")
def kafka_bootstrap(start_backend: Start) -> str:
    """The address of the Kafka of this run, started when the first test asks for it."""
    return start_backend("Kafka").address


@pytest.fixture(scope="session")
def templates(postgres_dsn: str) -> Iterator[dict[tuple[str, ...], str]]:
    """Names of the migrated databases that fresh ones are copied from, by packages."""
    created: dict[tuple[str, ...], str] = {}
    yield created
    for name in created.values():
        _run(_execute(postgres_dsn, f"DROP DATABASE {name}"))


@pytest.fixture
async def new_database(
    postgres_dsn: str, templates: dict[tuple[str, ...], str]
) -> AsyncIterator[NewDatabase]:
    """Gives fresh databases; they are gone after the test."""
    opened: list[Database] = []

    async def new(*packages: str) -> Database:
        if packages not in templates:
            templates[packages] = await _migrated(postgres_dsn, packages)
        name = _name("test")
        copy = f"TEMPLATE {templates[packages]} STRATEGY FILE_COPY"  # the fastest: 15 ms
        await _execute(postgres_dsn, f"CREATE DATABASE {name} {copy}")
        opened.append(await Database.open(with_database(postgres_dsn, name), name=name))
        return opened[-1]

    yield new
    for database in opened:
        await database.close()
        name = database.dsn.rpartition("/")[2]
        await _execute(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)")


async def _migrated(server: str, packages: tuple[str, ...]) -> str:
    name = _name("template")
    await migrate(with_database(server, name), *packages)
    return name


def _name(kind: str) -> str:
    return f"hoop_{RUN}_{kind}_{secrets.token_hex(4)}"


async def _execute(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute(sql)
    finally:
        await connection.close(timeout=5)
