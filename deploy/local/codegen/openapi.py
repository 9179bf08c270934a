"""The API's document from the route tables of all services, put where booking serves it.

`python -m local.codegen.openapi` prints it, `--write` writes the file. `./hoop openapi` does the same.
"""

import sys
import tomllib
from collections.abc import Sequence

import orjson

from hoop_platform.http.openapi.document import document
from hoop_platform.http.route import Route
from local.cli.options import ROOT
from local.stack.topology import SERVICES, service

FILE = ROOT / "services/booking/booking/api/openapi.json"


def routes() -> dict[str, Sequence[Route]]:
    """The route table of each service that has one."""
    found = {name: service(name).routes for name in SERVICES}
    return {name: table for name, table in found.items() if table}


def text() -> bytes:
    """The whole file."""
    made = document(routes(), version=_version())
    return orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _version() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def run_openapi(*, write: bool) -> None:
    """Print the file, or write it."""
    if write:
        FILE.write_bytes(text())
    else:
        sys.stdout.buffer.write(text())


if __name__ == "__main__":
    run_openapi(write=sys.argv[1:] == ["--write"])
