"""The images without an engine to build them: the Dockerfile's steps done by hand, compose held to the settings."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hoop_platform.config import Settings
from local.cli.options import ROOT
from local.stack.topology import SERVICES, service

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the runtime's packages only, and every service's code beside it."""
    base = tmp_path_factory.mktemp("image")
    uv = shutil.which("uv")
    make = [uv, "venv", "-q"] if uv else [sys.executable, "-m", "venv"]
    subprocess.run([*make, str(base / "venv")], check=True, timeout=120)
    python = str(base / "venv" / "bin" / "python")
    install = (
        [uv, "pip", "install", "-q", "--python", python]
        if uv
        else [python, "-m", "pip", "install", "-q"]
    )
    lock = str(ROOT / "requirements-runtime.lock")
    command = [*install, "--require-hashes", "--no-deps", "-r", lock]
    subprocess.run(command, check=True, timeout=300)
    for line in re.findall(r"^COPY shared/(\S+) /opt/hoop/app/(\S+)$", DOCKERFILE, re.MULTILINE):
        shutil.copytree(ROOT / "shared" / line[0], base / "app" / line[1])
    return base


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", SERVICES)
def test_the_image_of_a_service_has_all_it_needs(image: Path, name: str) -> None:
    """Its package beside `shared` and `hoop_events`, the runtime lock and nothing else: it imports,
    and says in one go which settings are missing.
    """
    package = service(name).package
    shutil.copytree(ROOT / "services" / name / package, image / "app" / package, dirs_exist_ok=True)
    done = subprocess.run(
        [image / "venv" / "bin" / "python", "-m", package, "serve"],
        env={"PYTHONPATH": str(image / "app"), "PATH": os.defpath},
        cwd=image,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "DATABASE_URL" in done.stderr
    assert "KAFKA_BOOTSTRAP" in done.stderr


def test_the_image_runs_as_nobody() -> None:
    assert re.search(r"^USER 65532:65532$", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize("name", SERVICES)
def test_compose_prepares_and_serves_each_service(name: str) -> None:
    assert re.search(rf"^  {name}-prepare:$", COMPOSE, re.MULTILINE)
    assert re.search(rf"^  {name}:$", COMPOSE, re.MULTILINE)
    assert f"args: {{SERVICE: {name}}}" in COMPOSE


@pytest.mark.parametrize("name", SERVICES)
def test_compose_gives_each_service_what_it_cannot_do_without(name: str) -> None:
    """Every setting without a default is set, and no setting is set that nobody reads."""
    begin = COMPOSE.index(f"  {name}-prepare:")
    part = COMPOSE[begin : COMPOSE.index(f"\n  {name}:\n", begin)]
    given = set(re.findall(r"^      ([A-Z][A-Z_]+):", part, re.MULTILINE))
    common = set(
        re.findall(r"^  ([A-Z][A-Z_]+):", COMPOSE[: COMPOSE.index("services:")], re.MULTILINE)
    )
    fields = service(name).settings.model_fields
    needed = {field.upper() for field, info in fields.items() if info.is_required()}
    assert needed <= given | common
    assert given <= {field.upper() for field in fields}
    assert common <= {field.upper() for field in Settings.model_fields}
