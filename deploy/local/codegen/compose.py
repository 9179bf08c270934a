"""The services in compose.yaml, from the settings that each of them needs."""

from collections.abc import Iterable, Iterator

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from hoop_events.effects import ConnectionChanged
from hoop_platform.config import Settings
from hoop_platform.service.service import Service
from local.codegen.markers import replaced

BEGIN = "# begin: ./hoop codegen"
END = "# end"
DEFAULTS = {
    "SMTP_HOST": "mail",
    "SMTP_PORT": "1025",
    "SMTP_TLS": "none",
    "MAIL_FROM": "Hoop <hello@hoop.example.com>",
}
"""Defaults of compose that differ from those of the settings: the mail server is the container `mail`."""
NEW_KEY = "a key from python -c 'from hoop_platform.secrets import new_key; print(new_key())'"

SERVICE = """\
  {name}-prepare:
    build: &{name}-build
      context: ..
      dockerfile: deploy/Dockerfile
      args: {{SERVICE: {name}}}
    <<: *service
    restart: "no"
    command: ["prepare"]
    environment: &{name}-environment
      <<: *environment
{settings}    depends_on:
      postgres: {{condition: service_healthy}}
      kafka: {{condition: service_healthy}}

  {name}:
    build: *{name}-build
    <<: *service
    environment: *{name}-environment
    depends_on:
      {name}-prepare: {{condition: service_completed_successfully}}

"""
GATEWAY = """\
  gateway:
    image: nginx:1.29
    volumes: ["./gateway/nginx.conf:/etc/nginx/nginx.conf:ro"]
    ports: ["127.0.0.1:8080:8080"]
    depends_on: [{names}]
    networks: [hoop]
"""


def rendered(text: str, known: Iterable[Service]) -> str:
    """The text of compose.yaml with these services between its markers."""
    return replaced(text, blocks(known), begin=BEGIN, end=END)


def blocks(known: Iterable[Service]) -> str:
    """Two containers for each service, one that prepares and one that serves, and the gateway."""
    listed = list(known)
    services = (SERVICE.format(name=one.name, settings="".join(_settings(one))) for one in listed)
    return "".join(services) + GATEWAY.format(names=", ".join(one.name for one in listed))


def _settings(one: Service) -> Iterator[str]:
    """A line for each setting that the service adds to those of every service."""
    for field, info in one.settings.model_fields.items():
        if field not in Settings.model_fields:
            yield f"      {_setting(field.upper(), info)}\n"
    if ConnectionChanged in one.announces:  # the tokens of provider accounts are stored encrypted
        yield f'      DATA_KEY: "${{DATA_KEY:?{NEW_KEY}}}"\n'


def _setting(name: str, info: FieldInfo) -> str:
    """One line: the value comes from the shell that runs compose, else it is the default."""
    default = DEFAULTS.get(name)
    if default is None and info.is_required():
        return f'{name}: "${{{name}:?{info.description}}}"'
    return f'{name}: "${{{name}:-{_plain(info.default) if default is None else default}}}"'


def _plain(default: object) -> str:
    return default.get_secret_value() if isinstance(default, SecretStr) else str(default)
