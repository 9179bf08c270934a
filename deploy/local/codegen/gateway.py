"""The gateway's rules from the route tables: which service owns a path, as nginx says it.

`python -m local.codegen.gateway` prints the configuration, `--write` puts it where compose mounts it.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from local.stack.topology import SERVICES, service

FILE = Path(__file__).parents[2] / "gateway" / "nginx.conf"
PORT = 8080
DEFAULT = "booking"
"""Answers what nobody owns, with 404 in the shape of the API."""
_PARAMETER = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class Rule:
    """One path pattern and its owner. `pattern` is a regular expression that matches all of a path."""

    path: str
    owner: str

    @property
    def pattern(self) -> str:
        parts = _PARAMETER.split(self.path.rstrip("/"))
        return "^" + "[^/]+".join(re.escape(part).replace(r"\-", "-") for part in parts) + "/?$"

    @property
    def rank(self) -> tuple[int, str]:
        """The fewer parameters, the earlier: nginx takes the first pattern that fits."""
        return len(_PARAMETER.findall(self.path)), self.path


class TwoOwners(Exception):
    """Two services serve one path: the edge could not know which of them to ask."""


def rules() -> list[Rule]:
    """One rule for each path of every service, the most special first."""
    owners: dict[str, str] = {}
    for name in SERVICES:
        for route in service(name).routes:
            path = route.path.rstrip("/")
            if owners.setdefault(path, name) != name:
                raise TwoOwners(f"{path}: {owners[path]} and {name}")
    return sorted((Rule(path, owner) for path, owner in owners.items()), key=lambda r: r.rank)


def owner(path: str, known: Iterable[Rule]) -> str:
    """Who is asked for this path, found as nginx finds it."""
    return next((rule.owner for rule in known if re.match(rule.pattern, path)), DEFAULT)


HEAD = """\
# Written by `python -m local.codegen.gateway --write` from the route tables of the services: do not edit.
worker_processes auto;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;

events {
    worker_connections 4096;
}

http {
    access_log off;
    server_tokens off;
    client_max_body_size 2m;
    client_header_timeout 10s;
    client_body_timeout 10s;
    send_timeout 30s;
    keepalive_timeout 75s;
    large_client_header_buffers 4 16k;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;

    map $http_x_request_id $asked_as {
        default $http_x_request_id;
        "" $request_id;
    }

    proxy_http_version 1.1;
    proxy_connect_timeout 3s;
    proxy_read_timeout 30s;
    proxy_send_timeout 30s;
    proxy_next_upstream off;  # a booking is not sent twice
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr;  # whatever the client says of it
    proxy_set_header X-Request-Id $asked_as;
    proxy_set_header traceparent $http_traceparent;
"""


def _upstreams() -> Iterator[str]:
    for name in SERVICES:
        if service(name).routes:
            yield f"    upstream {name} {{\n        server {name}:{PORT};\n        keepalive 32;\n    }}\n"


def _locations() -> Iterator[str]:
    for rule in rules():
        yield f'        location ~ "{rule.pattern}" {{ proxy_pass http://{rule.owner}; }}\n'
    yield f"        location / {{ proxy_pass http://{DEFAULT}; }}\n"


def configuration() -> str:
    """The whole file."""
    server = f"    server {{\n        listen {PORT};\n        merge_slashes off;\n\n"
    return "".join((HEAD, "\n", *_upstreams(), "\n", server, *_locations(), "    }\n}\n"))


def main() -> None:
    """Print the file, or write it."""
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(configuration())
    else:
        print(configuration(), end="")


if __name__ == "__main__":
    main()
