"""Settings from the environment: addresses of external servers, and where the embedded ones are found."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class BackendSettings(BaseSettings):
    """Settings of PostgreSQL and Kafka. All are optional; an empty one counts as absent."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    database_url: str | None = Field(
        None, description="DSN of a PostgreSQL whose role may create databases"
    )
    kafka_bootstrap: str | None = Field(None, description="host:port of a Kafka")
    docker_host: str | None = Field(
        None, description="address of the Docker daemon, as for Docker's own client"
    )
    hoop_docker: bool = Field(True, description="false: tests never use Docker")
    hoop_postgres_bin: Path | None = Field(
        None, description="folder with `postgres` and `initdb`, instead of those of the wheel"
    )
    hoop_kafka_jars: Path | None = Field(
        None, description="folder of Kafka's jars, instead of `.cache/kafka`"
    )
    hoop_maven_url: str | None = Field(None, description="base URL of a mirror of Maven Central")
