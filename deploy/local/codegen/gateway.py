"""The gateway's configuration: nginx forwards each path to the service that owns it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from hoop_platform.service.service import Service
from local.stack.routing import DEFAULT, rules
from local.stack.topology import services

FILE = Path(__file__).parents[2] / "gateway" / "nginx.conf"
PORT = 8080

HEAD = """\
# Written by `./hoop codegen` from the route tables of the services: do not edit.
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

    map $http_x_request_id $forwarded_request_id {
        default $http_x_request_id;
        "" $request_id;
    }

    proxy_http_version 1.1;
    proxy_connect_timeout 3s;
    proxy_read_timeout 30s;
    proxy_send_timeout 30s;
    proxy_next_upstream off;  # a request that books is not sent twice
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr;  # not what the client claims
    proxy_set_header X-Request-Id $forwarded_request_id;
    proxy_set_header traceparent $http_traceparent;
"""


def _upstreams(known: Iterable[Service]) -> Iterator[str]:
    for one in known:
        if one.routes:
            server = f"server {one.name}:{PORT};"
            yield f"    upstream {one.name} {{\n        {server}\n        keepalive 32;\n    }}\n"


def _locations(known: Iterable[Service]) -> Iterator[str]:
    for rule in rules(known):
        yield f'        location ~ "{rule.pattern}" {{ proxy_pass http://{rule.owner}; }}\n'
    yield f"        location / {{ proxy_pass http://{DEFAULT}; }}\n"


def configuration(known: Iterable[Service] | None = None) -> str:
    """The content of nginx.conf for these services (default: all of them)."""
    listed = services() if known is None else list(known)
    server = f"    server {{\n        listen {PORT};\n        merge_slashes off;\n\n"
    parts = (HEAD, "\n", *_upstreams(listed), "\n", server, *_locations(listed), "    }\n}\n")
    return "".join(parts)
