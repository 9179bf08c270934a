"""The choice of servers for the tests: in a fixed order, with a reason."""

import asyncio
import contextlib
import socket
from asyncio.subprocess import PIPE, STDOUT

import asyncpg
import pytest
from aiohttp import web

from local.servers import backends, containers, jvm
from local.servers.settings import BackendSettings

NO_DOCKER = BackendSettings(hoop_docker=False, database_url=None, kafka_bootstrap=None)


async def healthy(request):
    if request.path.endswith("/version"):
        return web.json_response({"ApiVersion": "1.50", "Version": "28.2.2"})
    return web.Response(text="OK")


@contextlib.asynccontextmanager
async def healthy_docker():
    """A stub of the Docker daemon; yields its address."""
    runner = web.ServerRunner(web.Server(healthy))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"tcp://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ("DATABASE_URL", "KAFKA_BOOTSTRAP", "DOCKER_HOST", "HOOP_DOCKER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def patient(monkeypatch):
    """Waits longer for Docker's client, whose import alone takes seconds on a busy machine."""
    monkeypatch.setattr(containers, "PING_LIMIT", 30.0)


async def choose():
    chosen = await asyncio.to_thread(backends.choose, BackendSettings())
    return {str(choice) for choice in chosen.values()}


async def test_external_servers_come_first(monkeypatch, tmp_path):
    """A configured address is used, without a request to Docker."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/postgres")
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "kafka.example:9092")

    chosen = backends.choose(BackendSettings())
    started = [await backends.start(choice, tmp_path) for choice in chosen.values()]

    assert {str(choice) for choice in chosen.values()} == {
        "PostgreSQL: external (DATABASE_URL is set)",
        "Kafka: external (KAFKA_BOOTSTRAP is set)",
    }
    assert [one.address for one in started] == [
        "postgresql://db.example/postgres",
        "kafka.example:9092",
    ]


@pytest.mark.usefixtures("patient")
async def test_containers_come_next(monkeypatch):
    """If Docker responds, the official images are used for servers without a configured address."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "kafka.example:9092")

    async with healthy_docker() as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        assert await choose() == {
            "PostgreSQL: container (no DATABASE_URL; Docker responds)",
            "Kafka: external (KAFKA_BOOTSTRAP is set)",
        }


async def test_a_silent_docker_is_given_up(monkeypatch):
    """After two seconds the embedded servers are used; the reason is in the choice."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        chosen = await choose()

    assert chosen == {
        "PostgreSQL: embedded (no DATABASE_URL; Docker did not respond within 2 s)",
        "Kafka: embedded (no KAFKA_BOOTSTRAP; Docker did not respond within 2 s)",
    }


@pytest.mark.usefixtures("patient")
async def test_a_missing_docker_is_reported(monkeypatch):
    """With the error of Docker's client."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")

    assert "Docker does not respond" in containers.why_not(BackendSettings())


async def test_docker_can_be_disabled(monkeypatch):
    """HOOP_DOCKER=false selects the embedded servers."""
    monkeypatch.setenv("HOOP_DOCKER", "false")

    assert await choose() == {
        "PostgreSQL: embedded (no DATABASE_URL; HOOP_DOCKER forbids Docker)",
        "Kafka: embedded (no KAFKA_BOOTSTRAP; HOOP_DOCKER forbids Docker)",
    }


async def test_the_kafka_image_accepts_our_settings(tmp_path):
    """The setup program of the image, which is in the jars, formats its storage with our environment."""
    jars = await jvm.fetch_jars()
    environment = containers.kafka_environment("docker.example", 21000)
    environment |= {
        "KAFKA_LOG_DIRS": str(tmp_path / "data"),
        "CLUSTER_ID": "5L6g3nShT-eMCtK--X86sw",
    }
    folders = [f"--{name}-configs-dir={tmp_path}" for name in ("default", "mounted", "final")]
    (tmp_path / "server.properties").touch()

    program = await asyncio.create_subprocess_exec(
        *(jvm.find_java().command, "-cp", ":".join(map(str, jars))),
        *("kafka.docker.KafkaDockerWrapper", "setup", *folders),
        env=environment,
        stdout=PIPE,
        stderr=STDOUT,
    )
    output, _ = await program.communicate()

    assert program.returncode == 0, output.decode()
    assert (tmp_path / "data" / "meta.properties").exists()
    assert (
        "advertised.listeners=PLAINTEXT://docker.example:21000"
        in (tmp_path / "server.properties").read_text()
    )


async def test_databases_are_migrated_and_separate(new_database):
    """Each has the migrated schema only, whatever is written to another one."""
    one, two = await new_database(), await new_database()

    await one.execute("CREATE TABLE extra ()")

    assert await two.fetchval("SELECT count(*) FROM schema_migrations") > 0
    assert await two.fetchval("SELECT to_regclass('extra')") is None


async def test_databases_are_dropped_after_the_test(postgres_dsn, new_database):
    """Also those with open sessions."""
    name = (await new_database()).dsn.rpartition("/")[2]
    siblings = name.rpartition("_")[0] + "_%"
    server = await asyncpg.connect(postgres_dsn)
    found = await server.fetch("SELECT datname FROM pg_database WHERE datname LIKE $1", siblings)
    await server.close()

    assert [row["datname"] for row in found] == [name]
