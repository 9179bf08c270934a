"""What a person does with a running system: asks how it is, reads logs, opens pages, books."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from aiohttp import ClientSession

from local.paths import ROOT

pytestmark = pytest.mark.system


BARE = """
import sys
sys.path.append("deploy")
from local.cli.commands import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def hoop(system: Any) -> Any:
    """Runs a command of `./hoop` on the running system, with Python's standard library alone."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", "-c", BARE, *words, "--local", str(system.folder)]
        return subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "BROWSER": "true"},  # noqa: TID251 -- a browser that shows nothing
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


def test_status_says_that_every_part_is_ready(hoop: Any, system: Any) -> None:
    """As text and as JSON: services, servers and simulators, each with its address."""
    text, data = hoop("status"), json.loads(hoop("status", "--json").stdout)

    assert text.returncode == 0, text.stdout
    assert text.stdout.count("✓") == len(data["parts"]) == len(system.facts["services"]) + 5
    assert data["ready"]
    assert {part["name"] for part in data["parts"]} >= {"booking", "kafka", "postgres"}


def test_book_books_the_next_free_slot(hoop: Any) -> None:
    """And waits for its link; the answer of a program is one JSON object."""
    first, second = hoop("book"), json.loads(hoop("book", "--json").stdout)

    assert first.returncode == 0, first.stdout
    assert "✓ booked 20" in first.stdout
    assert second["joinUrl"].startswith("http")
    assert second["startTime"] not in first.stdout


def test_logs_show_each_part(hoop: Any) -> None:
    """By name, whatever runs in a process of its own."""
    shown = hoop("logs", "booking", "gateway", "-n", "5")

    assert shown.returncode == 0, shown.stderr
    assert "booking | " in shown.stdout.replace("  ", " ")
    assert "kafka" in hoop("logs", "nobody").stderr


def test_open_prints_what_it_opens(hoop: Any, system: Any) -> None:
    """The documentation, or the inbox."""
    assert hoop("open").stdout == f"{system.facts['base_url']}/docs\n"
    assert hoop("open", "inbox").stdout == f"{system.facts['mail']['inbox_url']}\n"


async def test_the_address_of_the_api_leads_to_its_documentation(system: Any) -> None:
    """Through the gateway, too."""
    async with ClientSession() as http, http.get(system.facts["base_url"] + "/") as page:
        assert (page.status, page.url.path) == (200, "/docs")
        assert "Create appointment" in await page.text()
