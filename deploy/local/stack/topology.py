"""The parts of a local system: its services, its simulators, their ports and their settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from hoop_platform.config import Settings, with_database
from hoop_platform.service.service import Service
from local.paths import ROOT
from local.servers.ports import LOOPBACK


def find_services(root: Path = ROOT) -> tuple[str, ...]:
    """The names of all services, sorted: the folders of `services` that hold a pyproject.toml."""
    return tuple(sorted(file.parent.name for file in root.glob("services/*/pyproject.toml")))


SERVICES = find_services()
SIMULATORS = ("zoom", "google", "mail")


def package_of(name: str) -> str:
    """The import name of a service's package."""
    return name.replace("-", "_")


def service(name: str) -> Service:
    """The `Service` value that the `__main__` module of the service defines."""
    found = import_module(f"{package_of(name)}.__main__").service
    assert isinstance(found, Service)
    return found


def services(root: Path = ROOT) -> list[Service]:
    """All services of a tree as values; their packages must be importable."""
    return [service(name) for name in find_services(root)]


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The loopback port of every part. Those of `services` are used only with `--split`."""

    gateway: int
    postgres: int
    kafka: int
    controller: int
    zoom: int
    google: int
    smtp: int
    mailbox: int
    traces: int
    services: Mapping[str, int]


ADDRESS_LIMITS = ("address_per_second", "address_per_minute", "address_per_day")


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What `./hoop up` sets differently, so that a limit of the real world can be seen.

    zoom_limit: creates and updates that Zoom allows a user in a day; the product knows it, too.
    poll: seconds between two looks at Google's calendars.
    limits: whether requests without a key are limited by address, as elsewhere.
    """

    zoom_limit: int | None = None
    poll: float | None = None
    limits: bool = False

    @property
    def settings(self) -> dict[str, str]:
        """The settings of the services that differ from `environment`."""
        chosen: dict[str, str] = {}
        if self.zoom_limit is not None:
            chosen["ZOOM_DAILY_LIMIT"] = str(self.zoom_limit)
        if self.poll is not None:
            chosen["GOOGLE_POLL_SECONDS"] = f"{self.poll:g}"
        if self.limits:
            usual = {name: Settings.model_fields[name].default for name in ADDRESS_LIMITS}
            chosen |= {name.upper(): str(value) for name, value in usual.items()}
        return chosen

    def knobs(self, simulator: str) -> list[str]:
        """The options of a simulator's command."""
        if simulator == "zoom" and self.zoom_limit is not None:
            return ["--set", f"daily_limit={self.zoom_limit}"]
        return []


def url(port: int) -> str:
    """The HTTP base URL of a loopback port."""
    return f"http://{LOOPBACK}:{port}"


def environment(ports: Ports, *, data_key: str, database_url: str) -> dict[str, str]:
    """The environment variables with the settings of all services."""
    return {
        "DATABASE_URL": database_url,
        "LIMITS_DATABASE_URL": with_database(database_url, "limits"),
        "ADDRESS_PER_SECOND": "0",  # no limit: every client has this machine's address
        "ADDRESS_PER_MINUTE": "0",
        "ADDRESS_PER_DAY": "0",
        "TRUSTED_PROXIES": LOOPBACK,
        "KAFKA_BOOTSTRAP": f"{LOOPBACK}:{ports.kafka}",
        "PUBLIC_URL": url(ports.gateway),
        "DATA_KEY": data_key,
        "OTEL_EXPORTER_OTLP_ENDPOINT": url(ports.traces),
        "ZOOM_OAUTH_URL": url(ports.zoom),
        "ZOOM_API_URL": f"{url(ports.zoom)}/v2",
        "ZOOM_CLIENT_ID": "hoop-zoom",
        "ZOOM_CLIENT_SECRET": "hoop-zoom-secret",
        "ZOOM_DAILY_LIMIT": "100000",
        "GOOGLE_OAUTH_URL": f"{url(ports.google)}/o/oauth2/v2/auth",
        "GOOGLE_TOKEN_URL": f"{url(ports.google)}/token",
        "GOOGLE_REVOKE_URL": f"{url(ports.google)}/revoke",
        "GOOGLE_API_URL": f"{url(ports.google)}/calendar/v3",
        "GOOGLE_CLIENT_ID": "hoop-google",
        "GOOGLE_CLIENT_SECRET": "hoop-google-secret",
        "GOOGLE_POLL_SECONDS": "2",
        "SMTP_HOST": LOOPBACK,
        "SMTP_PORT": str(ports.smtp),
        "SMTP_TLS": "none",
        "MAIL_FROM": "Hoop <hello@hoop.example.com>",
    }
