"""Settings of a service: from the environment, or from files named by `<NAME>_FILE`; all problems at once."""

import os
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class SettingsMissing(SystemExit):
    """The settings do not allow a start; the text lists every problem. Exit status 3."""

    def __init__(self, text: str) -> None:
        super().__init__(3)
        self.text = text

    def __str__(self) -> str:
        return self.text


def _separated(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class Settings(BaseSettings):
    """Settings that every service has; services subclass it with their own."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    database_url: SecretStr = Field(description="DSN of the service's database")
    kafka_bootstrap: str = Field(description="host:port of the Kafka brokers, comma-separated")
    kafka_partitions: int = Field(3, ge=1, le=1000, description="of topics that `prepare` creates")
    kafka_replicas: int = Field(1, ge=1, le=7, description="of topics that `prepare` creates")
    http_host: str = Field("127.0.0.1", description="where HTTP listens")
    http_port: int = Field(0, ge=0, le=65535, description="0 picks a free port")
    public_url: str = Field(
        "http://127.0.0.1:8080", description="the gateway's address as browsers see it"
    )
    limits_database_url: SecretStr | None = Field(
        None,
        description="DSN of the database that counts requests; without it, keys with limits are refused",
    )
    address_per_second: int = Field(
        10, ge=0, description="requests without a valid key; 0: no limit"
    )
    address_per_minute: int = Field(100, ge=0, description="the same in a minute")
    address_per_day: int = Field(10_000, ge=0, description="the same in a day (UTC)")
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(_separated), NoDecode] = (
        Field((), description="networks whose X-Forwarded-For is trusted, comma-separated")
    )
    data_key: SecretStr = Field(SecretStr(""), description="key(s) that seal secrets at rest")
    clock_offset_file: Path | None = Field(None, description="seconds to add to business time")
    otel_exporter_otlp_endpoint: str | None = Field(None, description="where spans are sent")
    failpoints: str = Field("", description="failpoints to arm; tests only")
    failpoint_dir: Path | None = Field(None, description="failpoints armed by files; tests only")
    pool_size: int = Field(10, ge=1, le=200, description="connections to Postgres")

    @field_validator("database_url", "limits_database_url")
    @classmethod
    def _looks_like_a_dsn(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(
            ("postgresql://", "postgres://")
        ):
            raise ValueError("must begin with postgresql://")
        return value

    @classmethod
    def of(cls, service: str, **overrides: Any) -> Self:
        """Read the settings of `service`, or stop with one line per problem."""
        found, problems = _from_environment(cls, service)
        try:
            read = cls(**{**found, **overrides})
        except ValidationError as error:
            named = [(".".join(map(str, e["loc"])).upper(), e["msg"]) for e in error.errors()]
            problems += [f"{name}: {message}" for name, message in named]
        if problems:
            raise SettingsMissing("\n  ".join([f"{service}: settings", *problems]))
        return read


def _from_environment(cls: type[Settings], service: str) -> tuple[dict[str, str], list[str]]:
    """`<SERVICE>_<NAME>` wins over `<NAME>`; either may name a file as `…_FILE`. Returns values and problems."""
    prefix = service.replace("-", "_").upper() + "_"
    found: dict[str, str] = {}
    problems: list[str] = []
    for name in cls.model_fields:
        try:
            value = _read(prefix + name.upper()) or _read(name.upper())
        except OSError as error:
            problems.append(f"{error}")
        else:
            found |= {name: value} if value else {}
    if "database_url" in found and found["database_url"] != _read(prefix + "DATABASE_URL"):
        found["database_url"] = with_database(found["database_url"], service.replace("-", "_"))
    return found, problems


def _read(variable: str) -> str | None:
    """The value of a variable; an empty one counts as absent."""
    environment = os.environ  # noqa: TID251 -- the only reader of the environment
    if value := environment.get(variable):
        return value
    if path := environment.get(f"{variable}_FILE"):
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise OSError(f"{variable}_FILE: {path} cannot be read ({error.strerror})") from None
    return None


def with_database(dsn: str, name: str) -> str:
    """The DSN of another database on the same server."""
    head, mark, query = dsn.partition("?")
    scheme, _, rest = head.partition("://")
    host, _, _ = rest.partition("/")
    return f"{scheme}://{host}/{name}{mark}{query}"
