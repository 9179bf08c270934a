"""A service as a process: `python -m <package>` with its commands, signals and exit statuses."""

import asyncio
import gc
import signal
import sys
from collections.abc import Mapping, Sequence

import uvloop

from hoop_platform import failpoints, telemetry
from hoop_platform.clock import Clock
from hoop_platform.config import Settings, SettingsMissing
from hoop_platform.db.database import Database
from hoop_platform.db.migrate import migrate
from hoop_platform.kafka.batch import Subscriptions
from hoop_platform.kafka.replay import replay
from hoop_platform.kafka.topics import ensure_topics
from hoop_platform.service.service import Command, Service
from hoop_platform.service.serving import serve
from hoop_platform.telemetry import log

DRAIN_SECONDS = 20.0
COLLECT_AFTER = (50_000, 20, 20)
"""Thresholds of the garbage collector: hardly any objects are in cycles, and collecting took a
seventh of the time."""


def run(services: Sequence[tuple[Service, Settings]]) -> None:
    """Run until SIGTERM or SIGINT, then drain; a second signal, or twenty seconds, end it at once.

    Any other end is logged, and the process exits with status 1.
    """
    telemetry.configure_logs()
    failpoints.arm(services[0][1].failpoints)
    failpoints.watch(services[0][1].failpoint_dir)
    tune_garbage_collection()
    try:
        uvloop.run(_until_signal(services))
    except asyncio.CancelledError:
        log.error("ended before it was drained")
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 -- the process ends, and the log says why
        log.error("failed", exc_info=error)
        sys.exit(1)


def tune_garbage_collection() -> None:
    """Exclude what is loaded by now from garbage collection, and collect the rest less often."""
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


async def _until_signal(services: Sequence[tuple[Service, Settings]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()
    assert serving is not None

    def on_signal() -> None:
        if stop.is_set():
            serving.cancel()
        stop.set()
        loop.call_later(DRAIN_SECONDS, serving.cancel)

    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, on_signal)
    names = [service.name for service, _ in services]
    await serve(services, stop, listening=lambda port: log.info("listening", port=port, of=names))
    log.info("stopped", of=names)


def settings_of(service: Service) -> Settings:
    """The service's settings from the environment; writes all problems and raises `SettingsMissing`."""
    try:
        return service.settings.of(service.name)
    except SettingsMissing as missing:
        sys.stderr.write(f"{missing}\n")
        raise


def commands_of(service: Service) -> Mapping[str, Command]:
    """The commands that every service has besides `serve`, and those of this one."""

    async def prepare(settings: Settings, _: Sequence[str]) -> int:
        done = await migrate(settings.database_url.get_secret_value(), service.package)
        if settings.limits_database_url is not None:
            counted = settings.limits_database_url.get_secret_value()
            done += await migrate(counted, "hoop_platform.limits", platform=False)
        _write("".join(f"applied {name}\n" for name in done) or "schema up to date\n")
        created = await ensure_topics(
            settings.kafka_bootstrap,
            partitions=settings.kafka_partitions,
            replicas=settings.kafka_replicas,
        )
        _write("".join(f"created topic {name}\n" for name in created) or "topics up to date\n")
        return 0

    async def unpark(settings: Settings, _: Sequence[str]) -> int:
        database = await _open(settings, service)
        status = await database.execute(
            "UPDATE outbox SET parked_at = NULL, park_reason = NULL WHERE parked_at IS NOT NULL"
        )
        await database.close()
        _write(f"{status.rpartition(' ')[2]} rows of the outbox will be sent\n")
        return 0

    async def replay_dead_letters(settings: Settings, _: Sequence[str]) -> int:
        database = await _open(settings, service)
        subscriptions = Subscriptions(service.subscriptions, service.tombstones)
        replayed = await replay(database, subscriptions, Clock(settings.clock_offset_file))
        await database.close()
        _write("".join(f"fails still: {failure}\n" for failure in replayed.failures))
        _write(f"{replayed.done} records handled\n")
        return 1 if replayed.failures else 0

    own = {"prepare": prepare, "unpark": unpark, "replay": replay_dead_letters}
    return {**own, **service.commands}


async def _open(settings: Settings, service: Service) -> Database:
    return await Database.open(settings.database_url.get_secret_value(), name=service.name)


def _write(text: str) -> None:
    sys.stdout.write(text)


def main(service: Service) -> None:
    """The command of a service: `python -m <package> [serve|prepare|unpark|replay|…]`.

    `prepare` brings the schema up to date and creates missing topics; `serve` never does. `unpark`
    lets the relay send parked rows again; `replay` handles dead letters again.
    """
    command = sys.argv[1] if len(sys.argv) > 1 else "serve"
    commands = commands_of(service)
    if command not in {"serve", *commands}:
        known = "|".join(sorted({"serve", *commands}))
        sys.stderr.write(f"usage: {service.name} [{known}]\n")
        sys.exit(2)
    settings = settings_of(service)
    if command == "serve":
        run([(service, settings)])
    else:
        telemetry.enter(service.name)
        sys.exit(asyncio.run(commands[command](settings, sys.argv[2:])))
