"""The images and compose.yaml, without a container engine: the Dockerfile's steps, and all settings."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hoop_platform.config import Settings
from local.paths import ROOT
from local.stack.topology import SERVICES, service

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with requirements-runtime.lock, and the libraries beside it."""
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
    [pattern] = re.findall(r"^ && cp -r (shared/\S+) ", DOCKERFILE, re.MULTILINE)
    for library in ROOT.glob(pattern):
        shutil.copytree(library, base / "app" / library.name)
    return base


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", SERVICES)
def test_the_image_of_a_service_has_all_it_needs(image: Path, name: str) -> None:
    """Its package, the libraries and the runtime lock suffice to start it and list the missing settings."""
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


def test_the_image_does_not_run_as_root() -> None:
    assert re.search(r"^USER 65532:65532$", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize("name", SERVICES)
def test_compose_prepares_and_serves_each_service(name: str) -> None:
    assert re.search(rf"^  {name}-prepare:$", COMPOSE, re.MULTILINE)
    assert re.search(rf"^  {name}:$", COMPOSE, re.MULTILINE)
    assert f"args: {{SERVICE: {name}}}" in COMPOSE


@pytest.mark.parametrize("name", SERVICES)
def test_compose_sets_what_each_service_requires(name: str) -> None:
    """Every setting without a default is set, and no unknown one."""
    begin = COMPOSE.index(f"  {name}-prepare:")
    part = COMPOSE[begin : COMPOSE.index(f"\n  {name}:\n", begin)]
    own = set(re.findall(r"^      ([A-Z][A-Z_]+):", part, re.MULTILINE))
    common = set(
        re.findall(r"^  ([A-Z][A-Z_]+):", COMPOSE[: COMPOSE.index("services:")], re.MULTILINE)
    )
    fields = service(name).settings.model_fields
    required = {field.upper() for field, info in fields.items() if info.is_required()}
    assert required <= own | common
    assert own <= {field.upper() for field in fields}
    assert common <= {field.upper() for field in Settings.model_fields}
