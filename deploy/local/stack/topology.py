"""The parts of a local system: its services, its simulators, their ports and their settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from hoop_platform.config import with_database
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
