"""The generated files: a new service appears in all of them, and a stale file is found."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.checks.workspace import members
from local.codegen import runtime_lock
from local.codegen.generate import run_codegen, stale_files
from local.codegen.markers import MarkersMissing, replaced
from local.codegen.pyproject import library_layers
from local.paths import ROOT
from local.stack import topology

PYPROJECT = """
[project]
name = "waitlist"
dependencies = ["hoop-platform", "icalendar"]

[tool.hatch.build.targets.wheel]
packages = ["waitlist"]
"""
PROGRAM = """
from pydantic import Field

from hoop_events.accounts import UserChanged
from hoop_platform.config import Settings
from hoop_platform.http.route import Call, Route
from hoop_platform.service.service import Service


class WaitlistSettings(Settings):
    waitlist_url: str = Field(description="base URL of the list")
    waitlist_size: int = 7


async def handle(call: Call) -> None: ...


service = Service(
    "waitlist",
    settings=WaitlistSettings,
    routes=[Route("GET", "/waitlists/{waitlistId}", handle, None, summary="Show a waitlist")],
    subscriptions={UserChanged: handle},
)
"""
SOURCES = ["ARCHITECTURE.md", "deploy/compose.yaml", "requirements.in", "requirements.lock"]
LOCK = """
aiohttp==3.14.5 \\
    --hash=sha256:0133c3c3b54a0bf1e71fa5c1ad95c93f07fd54e24ef1fe182f5122e1573d2bf1
    # via -r requirements.in
idna==3.20 ; python_version >= '3.11' \\
    --hash=sha256:038c2c7e8caa26b6c8423779b5eaf1893904048a512c19b32fe841ffa5592b50 \\
    --hash=sha256:138c2c7e8caa26b6c8423779b5eaf1893904048a512c19b32fe841ffa5592b50
    # via
    #   pytest
    #   yarl
pytest==9.2.0 \\
    --hash=sha256:238c2c7e8caa26b6c8423779b5eaf1893904048a512c19b32fe841ffa5592b50
    # via -r requirements.in
yarl==1.25.1 \\
    --hash=sha256:338c2c7e8caa26b6c8423779b5eaf1893904048a512c19b32fe841ffa5592b50
    # via aiohttp
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What the generators read of this tree, and one more service, `services/waitlist`."""
    projects = [path.relative_to(ROOT) for path in ROOT.glob("*/*/pyproject.toml")]
    for name in [*SOURCES, *projects, "pyproject.toml", "deploy/pyproject.toml"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for folder in ("deploy/gateway", "services/booking/booking/api", "services/waitlist/waitlist"):
        (tmp_path / folder).mkdir(parents=True)
    waitlist = tmp_path / "services/waitlist"
    (waitlist / "pyproject.toml").write_text(PYPROJECT)
    (waitlist / "waitlist/__init__.py").touch()
    (waitlist / "waitlist/__main__.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(str(waitlist))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "waitlist"]:
        del sys.modules[name]


def test_services_are_found_by_their_folders(tree):
    assert topology.find_services(tree) == tuple(sorted([*topology.SERVICES, "waitlist"]))
    assert tree / "services/waitlist" in {member.folder for member in members(tree)}


def test_a_new_service_is_in_every_generated_file(tree):
    """Its settings in compose, its paths at the gateway and in the API, its subscriptions in the table."""
    assert run_codegen(check=False, root=tree)

    compose = (tree / "deploy/compose.yaml").read_text()
    project = (tree / "pyproject.toml").read_text()
    assert 'WAITLIST_URL: "${WAITLIST_URL:?base URL of the list}"' in compose
    assert 'WAITLIST_SIZE: "${WAITLIST_SIZE:-7}"' in compose
    assert re.search(r"^    depends_on: \[.*, waitlist\]$", compose, re.MULTILINE)
    assert "/waitlists/[^/]+" in (tree / "deploy/gateway/nginx.conf").read_text()
    assert (
        '"/waitlists/{waitlistId}"'
        in (tree / "services/booking/booking/api/openapi.json").read_text()
    )
    assert re.search(r"^\| `UserChanged` .*, waitlist \|$", *_lines(tree / "ARCHITECTURE.md"))
    assert re.search(r'^mypy_path = .*"services/waitlist"', project, re.MULTILINE)
    for key in ("packages", "root_packages", "containers", "source_modules"):
        assert re.search(rf'^{key} = .*"waitlist"', project, re.MULTILINE), key
    assert re.search(r'^layers = .* \| waitlist"', project, re.MULTILINE)


def _lines(path: Path) -> tuple[str, int]:
    return path.read_text(), re.MULTILINE


def test_a_stale_file_is_named_with_the_command(tree, capsys):
    """The first run writes everything, the second nothing; a change by hand is found."""
    run_codegen(check=False, root=tree)
    assert stale_files(tree) == {}
    (tree / "deploy/gateway/nginx.conf").write_text("by hand")
    capsys.readouterr()

    assert not run_codegen(check=True, root=tree)
    assert (
        capsys.readouterr().out == "deploy/gateway/nginx.conf is stale; ./hoop codegen writes it\n"
    )


def test_the_runtime_lock_is_the_closure_of_what_is_declared(tmp_path):
    """Pins, markers and hashes as they are; no other distribution, not even among the reasons."""
    (tmp_path / "requirements.lock").write_text(LOCK.lstrip())
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["services/*"]')
    (tmp_path / "services/waitlist").mkdir(parents=True)
    (tmp_path / "services/waitlist/pyproject.toml").write_text(
        PYPROJECT.replace('"hoop-platform", "icalendar"', '"aiohttp"')
    )

    lock = runtime_lock.text(tmp_path)

    assert re.findall(r"^\w.*(?= \\)", lock, re.MULTILINE) == [
        "aiohttp==3.14.5",
        "idna==3.20 ; python_version >= '3.11'",
        "yarl==1.25.1",
    ]
    assert lock.count("--hash=sha256:") == 4
    assert "pytest" not in lock


def test_an_undeclared_pin_is_an_error(tmp_path):
    (tmp_path / "requirements.lock").write_text(LOCK.lstrip())
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["services/*"]')
    (tmp_path / "services/waitlist").mkdir(parents=True)
    (tmp_path / "services/waitlist/pyproject.toml").write_text(PYPROJECT)

    with pytest.raises(runtime_lock.NotPinned, match="hoop-platform, icalendar"):
        runtime_lock.text(tmp_path)


def test_libraries_are_layered_by_what_they_declare():
    """As the import contract needs them: users above, independent ones side by side."""
    libraries = [member for member in members(ROOT) if member.folder.parent.name == "shared"]
    layers = library_layers(libraries)
    level = {package: number for number, layer in enumerate(layers) for package in layer}

    assert sorted(level) == sorted(member.package for member in libraries)
    assert level["hoop_platform"] < level["hoop_events"]


def test_a_part_is_replaced_between_its_markers():
    text = "before\n  # begin: an older command\n  old\n  # end\nafter\n"
    new = replaced(text, "  new\n", begin="# begin: ./hoop codegen", end="# end")

    assert new == "before\n  # begin: ./hoop codegen\n  new\n  # end\nafter\n"
    with pytest.raises(MarkersMissing):
        replaced("no markers", "new\n", begin="# begin: ./hoop codegen", end="# end")
