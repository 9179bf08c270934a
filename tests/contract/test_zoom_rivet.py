"""Zoom's own client, `@zoom/rivet`, against the simulated Zoom: an independent check of its shape.

It needs Node and npm, so it runs with `./hoop test -m vendors` only. The client's licence allows its
use in development but not shipping it: it is installed into a temporary folder from the lock file.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from simulators.client import zoom_tokens
from simulators.zoom.simulator import ZoomSimulator, serve

HERE = Path(__file__).parent / "zoom_rivet"
pytestmark = [pytest.mark.vendors, pytest.mark.timeout(300)]


@pytest.fixture
async def sim() -> AsyncIterator[ZoomSimulator]:
    async with serve() as running:
        yield running


async def run(*command: str | Path, cwd: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_zooms_own_client(sim, tmp_path):
    """It creates, updates, reads, lists and deletes, and parses our errors as Zoom's."""
    folder = shutil.copytree(
        HERE, tmp_path / "rivet", ignore=shutil.ignore_patterns("node_modules")
    )
    await run("npm", "ci", "--no-audit", "--no-fund", cwd=folder)
    async with aiohttp.ClientSession() as http:
        token = (await zoom_tokens(http, sim, "ada@example.com"))["access_token"]
    report = json.loads(await run("node", "check.mjs", f"{sim.url}/v2", token, cwd=folder))
    created, read = report["created"], report["read"]
    assert report["statuses"] == [201, 204, 200, 200, 204]
    assert (created["topic"], read["topic"], read["id"]) == ("Cut", "Shave", created["id"])
    assert read["join_url"] == created["join_url"]
    assert [m["id"] for m in report["listed"]["meetings"]] == [created["id"]]
    assert report["gone"]["name"] == report["invalid"]["name"] == "ApiResponseError"
    assert "[404/3001]" in report["gone"]["message"]
    assert "[400/300]" in report["invalid"]["message"]
