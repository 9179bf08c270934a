"""What the tests themselves run on: chosen in a known order, for a reason that is said."""

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
    """Something answers as Docker does; yields its address."""
    runner = web.ServerRunner(web.Server(healthy))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"tcp://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch):
    for name in ("DATABASE_URL", "KAFKA_BOOTSTRAP", "DOCKER_HOST", "HOOP_DOCKER"):
        monkeypatch.delenv(name, raising=False)


async def choose():
    chosen = await asyncio.to_thread(backends.choose, BackendSettings())
    return {str(choice) for choice in chosen.values()}


async def test_given_addresses_win(monkeypatch, tmp_path):
    """An address that was given is used, and nobody asks for Docker."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/postgres")
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "kafka.example:9092")

    chosen = backends.choose(BackendSettings())
    started = [await backends.start(choice, tmp_path) for choice in chosen.values()]

    assert {str(choice) for choice in chosen.values()} == {
        "PostgreSQL: given (DATABASE_URL is set)",
        "Kafka: given (KAFKA_BOOTSTRAP is set)",
    }
    assert [one.address for one in started] == [
        "postgresql://db.example/postgres",
        "kafka.example:9092",
    ]


async def test_containers_come_next(monkeypatch):
    """Where Docker answers, the official images are used for what was not given."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "kafka.example:9092")

    async with healthy_docker() as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        assert await choose() == {
            "PostgreSQL: container (no DATABASE_URL; Docker answers)",
            "Kafka: given (KAFKA_BOOTSTRAP is set)",
        }


async def test_a_docker_that_is_silent_is_not_waited_for(monkeypatch):
    """After two seconds the embedded servers are used, and the reason is said."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        chosen = await choose()

    assert chosen == {
        "PostgreSQL: embedded (no DATABASE_URL; Docker did not answer within 2 s)",
        "Kafka: embedded (no KAFKA_BOOTSTRAP; Docker did not answer within 2 s)",
    }


async def test_a_docker_that_is_not_there_is_said(monkeypatch):
    """The reason that Docker's client gives is passed on."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")

    assert "Docker does not answer" in containers.why_not(BackendSettings())


async def test_docker_can_be_left_alone(monkeypatch):
    """Who has Docker but wants the embedded servers says so."""
    monkeypatch.setenv("HOOP_DOCKER", "false")

    assert await choose() == {
        "PostgreSQL: embedded (no DATABASE_URL; HOOP_DOCKER says no Docker)",
        "Kafka: embedded (no KAFKA_BOOTSTRAP; HOOP_DOCKER says no Docker)",
    }


async def test_the_kafka_image_can_be_set_up(tmp_path):
    """The image's own set-up program, which is in the jars, takes our environment and formats."""
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
    said, _ = await program.communicate()

    assert program.returncode == 0, said.decode()
    assert (tmp_path / "data" / "meta.properties").exists()
    assert (
        "advertised.listeners=PLAINTEXT://docker.example:21000"
        in (tmp_path / "server.properties").read_text()
    )


async def test_databases_are_migrated_and_apart(new_database):
    """Each is as the migrations leave it, whatever was written to another."""
    one, two = await new_database(), await new_database()

    await one.execute("CREATE TABLE mine ()")

    assert await two.fetchval("SELECT count(*) FROM schema_migrations") > 0
    assert await two.fetchval("SELECT to_regclass('mine')") is None


async def test_databases_are_gone_after_the_test(postgres_dsn, new_database):
    """What earlier tests made is not there any more; sessions left open do not matter."""
    name = (await new_database()).dsn.rpartition("/")[2]
    kin = name.rpartition("_")[0] + "_%"
    server = await asyncpg.connect(postgres_dsn)
    found = await server.fetch("SELECT datname FROM pg_database WHERE datname LIKE $1", kin)
    await server.close()

    assert [row["datname"] for row in found] == [name]
