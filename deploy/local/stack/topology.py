"""The topology on one page: which services there are, and what each of them is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from hoop_platform.config import with_database
from hoop_platform.service.service import Service

SERVICES = ("accounts", "booking", "availability", "meetings", "sync-google", "notifications")
SIMULATORS = ("zoom", "google", "mail")


def service(name: str) -> Service:
    """The service as a value."""
    found = import_module(f"{name.replace('-', '_')}.__main__").service
    assert isinstance(found, Service)
    return found


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Where everything listens on loopback. `services` are used only when they are split."""

    edge: int
    postgres: int
    kafka: int
    controller: int
    zoom: int
    google: int
    smtp: int
    inbox: int
    spans: int
    services: Mapping[str, int]


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def environment(ports: Ports, *, data_key: str, database_url: str) -> dict[str, str]:
    """The settings of every service, as its environment says them."""
    return {
        "DATABASE_URL": database_url,
        "LIMITS_DATABASE_URL": with_database(database_url, "limits"),
        "ADDRESS_PER_SECOND": "0",  # all of them are this machine's
        "ADDRESS_PER_MINUTE": "0",
        "ADDRESS_PER_DAY": "0",
        "TRUSTED_PROXIES": "127.0.0.1",
        "KAFKA_BOOTSTRAP": f"127.0.0.1:{ports.kafka}",
        "PUBLIC_URL": url(ports.edge),
        "DATA_KEY": data_key,
        "OTEL_EXPORTER_OTLP_ENDPOINT": url(ports.spans),
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
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(ports.smtp),
        "SMTP_TLS": "none",
        "MAIL_FROM": "Hoop <hello@hoop.example.com>",
    }
