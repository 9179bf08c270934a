"""What the user may give: addresses of servers that already run, and where to find the parts of ours."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class BackendSettings(BaseSettings):
    """Settings of the embedded parts. All are optional; an empty one counts as absent."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    database_url: str | None = Field(
        None, description="DSN of a PostgreSQL whose role may create databases"
    )
    kafka_bootstrap: str | None = Field(None, description="host:port of a Kafka")
    docker_host: str | None = Field(None, description="where Docker listens, as for its own client")
    hoop_docker: bool = Field(True, description="false: tests leave Docker alone")
    hoop_postgres_bin: Path | None = Field(
        None, description="folder with `postgres` and `initdb`, instead of the wheel's"
    )
    hoop_kafka_jars: Path | None = Field(
        None, description="folder of Kafka's jars, instead of `.cache/kafka`"
    )
    hoop_maven_url: str | None = Field(None, description="a company's mirror of Maven Central")
