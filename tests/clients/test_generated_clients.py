"""Clients generated from the document that the system serves: they compile, book, move, cancel, and read refusals.

The generators are the most used ones of their languages. They and their programs live in environments of
their own (`environments`).
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from clients import environments
from clients.asked import asked

HERE = Path(__file__).parent
PROGRAM_SECONDS = 180.0
OPTIONAL = ("--default-non-nullable", "false")
"""A field with a default may be left out of a request."""
pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]


def test_a_python_client_is_generated_and_books(system: Any, tmp_path: Path) -> None:
    """By openapi-python-client: no operation is left out, and both kinds of refusals have their type."""
    interpreter = environments.python("generated_python")
    given = {**asked(system), "HOOP_FOLDER": str(tmp_path)}
    program = HERE / "generated_python" / "check.py"
    said = environments.run(interpreter, program, given=given, seconds=PROGRAM_SECONDS)

    found = json.loads(said.splitlines()[-1])
    assert found.pop("said") == [f"Generating {tmp_path / 'hoop_client'}"]
    assert found == {
        "missing": [],
        "booked": ["AppointmentWriteResponse", True],
        "moved": True,
        "cancelled": "cancelled",
        "taken": ["Refusal", "slot_unavailable"],
        "wrong": ["RefusalOfFields", "invalid", ["title"]],
    }


def test_a_typescript_client_is_generated_and_books(system: Any, tmp_path: Path) -> None:
    """By openapi-typescript for openapi-fetch: the program compiles strictly against the types."""
    node, installed = environments.node("generated_node")
    modules = installed / "node_modules"
    folder = tmp_path.resolve()
    (folder / "node_modules").symlink_to(modules)
    (folder / "package.json").write_text('{"type": "module"}')
    for file in ("check.ts", "tsconfig.json"):
        shutil.copy(HERE / "generated_node" / file, folder)
    given = asked(system)
    document = f"{given['HOOP_BASE_URL']}/openapi.json"

    def run(*command: str | Path) -> str:
        return environments.run(node, *command, cwd=folder, given=given, seconds=PROGRAM_SECONDS)

    run(modules / "openapi-typescript" / "bin" / "cli.js", document, *OPTIONAL, "-o", "hoop.d.ts")
    run(modules / "typescript" / "bin" / "tsc")

    assert json.loads(run("check.js").splitlines()[-1]) == {
        "booked": True,
        "moved": True,
        "cancelled": "cancelled",
        "taken": "slot_unavailable",
        "wrong": ["invalid", ["startTime"]],
    }
