"""`./hoop new-service`, in a copy of the tree: what it writes is a service like the others, and works."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from hoop_events.base import Event
from hoop_events.catalogue import EVENTS
from hoop_platform.ids import is_id
from local.checks.workspace import our_files
from local.cli.new_service import NameRefused, check_name, event_of
from local.cli.options import Exit
from local.codegen.new_service import files
from local.paths import ROOT
from local.testing.events import example

COPIED = ("shared", "deploy", "tests", "docs", "services/accounts", "services/booking")
CHECKS = {"imports", "no addresses", "generated files", "declared: services/web-hooks"}
"""Steps of `./hoop check` that can be made on a part of the tree; ruff and mypy are run besides."""
RUN_CHECKS = f"""
import json
from local.checks.check import run, steps
results = [run(step) for step in steps() if step.name in {CHECKS!r}]
print(json.dumps({{each.name: each.output for each in results if not each.ok}}))
print(len(results))
"""
LAYOUT = "web-hooks or member or module_says or names_say or init_holds or short_module"
BIN = Path(sys.executable).parent
MOST_LINES, MOST_FILES = 40, 3


@dataclass(frozen=True)
class Copy:
    """A copy of a part of the tree, whose packages are imported instead of this one's."""

    root: Path

    def run(self, *command: object, **environment: str) -> subprocess.CompletedProcess[str]:
        folders = [*self.root.glob("shared/*"), *self.root.glob("services/*")]
        path = [*folders, self.root / "deploy", self.root / "tests"]
        return subprocess.run(
            [sys.executable, "-P", *map(str, command)],
            cwd=self.root,
            env={
                **os.environ,  # noqa: TID251 -- the backends' settings are handed on
                "PYTHONPATH": os.pathsep.join(map(str, path)),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def hoop(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "local", *arguments)

    def tests(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
        return self.run(*command, *arguments, **environment)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy in which `./hoop new-service web-hooks` has run."""
    root = tmp_path_factory.mktemp("tree")
    for path in our_files(ROOT):
        name = path.relative_to(ROOT)
        if len(name.parts) == 1 or str(name).startswith(COPIED):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, root / name)
    found = Copy(root)
    found.hoop("codegen")  # as if there had been no other services
    done = found.hoop("new-service", "web-hooks")
    assert (done.returncode, done.stderr) == (Exit.OK, ""), done.stdout
    assert "WEB_HOOKS_URL" in done.stdout
    return found


def test_a_new_consumer_is_small(copy: Copy) -> None:
    """At most forty lines of its own in three files, the package's docstring aside."""
    package = copy.root / "services/web-hooks/web_hooks"
    modules = [path for path in package.rglob("*.py") if len(ast.parse(path.read_text()).body) > 1]
    lines = [
        line.strip() for path in package.rglob("*.py") for line in path.read_text().splitlines()
    ]
    assert len(modules) <= MOST_FILES
    assert len([line for line in lines if line and not line.startswith("#")]) <= MOST_LINES


def test_it_passes_the_checks(copy: Copy) -> None:
    """It is declared, layered, and stands in every generated file."""
    done = copy.run("-c", RUN_CHECKS)
    problems, count = done.stdout.splitlines()
    assert (json.loads(problems), int(count)) == ({}, len(CHECKS)), done.stderr


@pytest.mark.parametrize(
    "command",
    ["mypy -p web_hooks", "ruff check {root}/services/web-hooks", "ruff format --check {root}"],
)
def test_it_is_linted_formatted_and_typed(copy: Copy, command: str) -> None:
    """mypy takes this tree's libraries, which its cache knows."""
    program, *arguments = command.format(root=copy.root).split()
    done = subprocess.run(
        [BIN / program, *arguments],
        cwd=ROOT,
        env={"MYPYPATH": str(copy.root / "services/web-hooks"), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout


def test_its_layout_and_documents_are_right(copy: Copy) -> None:
    done = copy.tests("tests/contract/test_layout.py", "-k", LAYOUT)
    assert done.returncode == 0, done.stdout
    done = copy.tests("tests/contract/test_documents.py", "-k", "web-hooks or ARCHITECTURE")
    assert done.returncode == 0, done.stdout


def test_its_own_test_passes_and_can_fail(copy: Copy, postgres_dsn: str) -> None:
    """It fails for a handler that desires nothing, and for an effect that posts nothing."""
    passed = copy.tests("services/web-hooks", DATABASE_URL=postgres_dsn)
    assert passed.returncode == 0, passed.stdout
    package = copy.root / "services/web-hooks/web_hooks"
    for name, before, after in (
        ("handlers.py", "await desire(db, desire_for(event, kind=POST, now=now))", "..."),
        ("__main__.py", "handlers.POST: ", '"other": '),
    ):
        file = package / name
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after))
        failed = copy.tests("services/web-hooks", DATABASE_URL=postgres_dsn)
        file.write_text(text)
        assert failed.returncode == 1, failed.stdout
        assert "AssertionError" in failed.stdout


def test_it_overwrites_nothing(copy: Copy) -> None:
    """Asked again for the same service, it refuses, and changes no file."""
    handlers = copy.root / "services/web-hooks/web_hooks/handlers.py"
    before = handlers.stat().st_mtime_ns
    again = copy.hoop("new-service", "web-hooks")
    assert again.returncode == Exit.USAGE
    assert "services/web-hooks exists" in again.stderr
    assert handlers.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Web", "lowercase"),
        ("web_hooks", "lowercase"),
        ("9lives", "a letter first"),
        ("web--hooks", "single hyphens"),
        ("-web", "lowercase"),
        ("w" * 41, "40 characters"),
        ("../web", "lowercase"),
        ("booking", "services/booking exists"),
        ("class", "keyword"),
        ("match", "keyword"),
        ("json", "package or folder json"),
        ("aiohttp", "package or folder aiohttp"),
        ("hoop-events", "package or folder hoop_events"),
        ("bench", "package or folder bench"),
        ("limits", "part of the system"),
        ("template0", "part of the system"),
        ("zoom", "part of the system"),
        ("kafka", "part of the system"),
        ("booking-prepare", "part of the system"),
        ("database", "DATABASE_URL is a setting"),
        ("zoom-oauth", "ZOOM_OAUTH_URL is a setting"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(NameRefused, match=reason):
        check_name(name)


def test_an_unknown_event_is_refused_with_those_there_are() -> None:
    with pytest.raises(NameRefused, match=r"no event Booked; there are .*AppointmentCreated"):
        event_of("Booked")


@pytest.mark.parametrize("event", EVENTS, ids=[event.type for event in EVENTS])
def test_every_event_can_have_a_consumer(event: type[Event]) -> None:
    """Its modules compile, its handler is named after it, and its test has an example to deliver."""
    written = files("web-hooks", event)
    for name in (name for name in written if name.endswith(".py")):
        compile(written[name], name, "exec")
    handler = re.search(r"async def on(\w+)\(", written["web_hooks/handlers.py"])
    assert handler
    assert handler[1].replace("_", "") == event.type.lower()
    assert is_id(example(event).event_id)


def test_help_gives_an_example(copy: Copy) -> None:
    shown = copy.hoop("new-service", "--help").stdout
    assert "./hoop new-service webhooks" in shown.partition("Example")[2]
    assert "new-service" in copy.hoop("--help").stdout
