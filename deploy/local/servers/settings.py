"""Settings from the environment: addresses of external servers, and where the embedded ones are found.

Standard library only, because `./hoop doctor` reads them before anything is installed.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class WrongSetting(ValueError):
    """A variable of the environment has a value that it cannot have; the text names both."""


def _text(name: str) -> Callable[[], str | None]:
    return lambda: os.environ.get(name) or None  # noqa: TID251 - read before hoop_platform.config is installed


def _folder(name: str) -> Callable[[], Path | None]:
    text = _text(name)
    return lambda: Path(found) if (found := text()) else None


def _switch(name: str) -> Callable[[], bool]:
    def read() -> bool:
        found = (_text(name)() or YES[0]).lower()
        if found not in YES + NO:
            raise WrongSetting(f"{name} must be one of {', '.join(YES + NO)}, not {found!r}.")
        return found in YES

    return read


@dataclass(frozen=True, kw_only=True)
class BackendSettings:
    """Settings of PostgreSQL and Kafka. All are optional; an empty one counts as absent.

    database_url: DSN of a PostgreSQL whose role may create databases.
    kafka_bootstrap: host:port of a Kafka.
    docker_host: address of the Docker daemon, as for Docker's own client.
    hoop_docker: false: tests never use Docker.
    hoop_postgres_bin: folder with `postgres` and `initdb`, instead of those of the wheel.
    hoop_kafka_jars: folder of Kafka's jars, instead of `.cache/kafka`.
    hoop_maven_url: base URL of a mirror of Maven Central.
    """

    database_url: str | None = field(default_factory=_text("DATABASE_URL"))
    kafka_bootstrap: str | None = field(default_factory=_text("KAFKA_BOOTSTRAP"))
    docker_host: str | None = field(default_factory=_text("DOCKER_HOST"))
    hoop_docker: bool = field(default_factory=_switch("HOOP_DOCKER"))
    hoop_postgres_bin: Path | None = field(default_factory=_folder("HOOP_POSTGRES_BIN"))
    hoop_kafka_jars: Path | None = field(default_factory=_folder("HOOP_KAFKA_JARS"))
    hoop_maven_url: str | None = field(default_factory=_text("HOOP_MAVEN_URL"))
