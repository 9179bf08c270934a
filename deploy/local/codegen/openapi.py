"""The OpenAPI document of all services, in the file that booking serves."""

import sys
import tomllib
from collections.abc import Iterable, Sequence

import orjson

from hoop_platform.http.openapi.document import document
from hoop_platform.http.route import Route
from hoop_platform.service.service import Service
from local.paths import ROOT
from local.stack.topology import services

NAME = "services/booking/booking/api/openapi.json"
FILE = ROOT / NAME


def routes(known: Iterable[Service] | None = None) -> dict[str, Sequence[Route]]:
    """The route tables of these services (default: all of them), without empty ones."""
    return {one.name: one.routes for one in (services() if known is None else known) if one.routes}


def text(known: Iterable[Service] | None = None) -> bytes:
    """The document as indented JSON."""
    content = document(routes(known), version=_version())
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _version() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def run_openapi(*, write: bool) -> None:
    """Print the document, or write its file."""
    if write:
        FILE.write_bytes(text())
    else:
        sys.stdout.buffer.write(text())
