"""The tree is as ARCHITECTURE.md says: who looks for something finds it where its kind always is."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import get_args

import pytest
from importlinter.cli import lint_imports
from packaging.requirements import Requirement

from booking.api.schemas import calendar_fields
from hoop_events.meeting_locations import LOCATION_KINDS
from local.checks import repo_checks, structure, workspace
from local.checks.requirements import read_pins
from local.stack.topology import SERVICES, service

ROOT = Path(__file__).parents[2]
FOLDERS = {".ci", "bench", "deploy", "docs", "services", "shared", "tests"}
PRODUCT = ("shared", "services", "deploy")
ROLES = {
    "__init__",
    "__main__",
    "api",
    "config",
    "domain",
    "handlers",
    "jobs",
    "providers",
    "store",
}
DATA = {"migrations", "functions", "templates", "py.typed"}
HEADINGS = ["Owns", "API", "Events in and out", "Settings", "How it fails"]
MOST_LINES = 300
LEAST_LINES = 40
SHORT = {
    "deploy/local/__main__.py": "what `./hoop` becomes; it imports nothing before it can be interrupted",
    "deploy/local/codegen/markers.py": "one way to replace a generated part",
    "deploy/local/paths.py": "imported before the environment may be complete",
    "deploy/local/stack/all_in_one.py": "a program",
    "deploy/local/testing/*.py": "one thing that tests import, each",
    "services/accounts/accounts/*/*.py": "one file per noun: accounts, locations, users, contacts, keys",
    "services/booking/booking/api/alternatives.py": "what the refusal of a taken time offers instead",
    "services/booking/booking/handlers/inspect.py": "the operator's two commands",
    "services/meetings/meetings/domain/plan.py": "what the reconciler asks each service for",
    "services/meetings/meetings/jobs/background.py": "one background task",
    "services/meetings/meetings/providers/conference.py": "what each provider's module offers",
    "services/meetings/meetings/providers/registry.py": "the list that a new provider joins",
    "services/meetings/meetings/store/users.py": "one table",
    "shared/events/hoop_events/calendar_uid.py": "mails and calendars agree on it",
    "shared/events/hoop_events/catalogue.py": "derived from all other modules",
    "shared/platform/hoop_platform/db/values.py": "what PostgreSQL takes, for several tables",
    "shared/platform/hoop_platform/clock.py": "the only reader of the system clock",
    "shared/platform/hoop_platform/direction.py": "mails and calendars clean titles with it",
    "shared/platform/hoop_platform/kafka/stall_detector.py": "the group and the global tables use it",
    "shared/platform/hoop_platform/phone_numbers.py": "contacts and settings have numbers",
    "shared/platform/hoop_platform/providers/callback_page.py": "the only HTML for people",
    "shared/platform/hoop_platform/providers/key_rotation.py": "an operator's task",
    "shared/platform/hoop_platform/service/loop_monitor.py": "one background task",
}
"""Modules of less by pattern, each with the reason why it stands alone. A role has a file, however short."""
EMPTY_NAMES = re.compile(r"(^|_)(utils?|helpers?|misc|common|manager)(_|$)")
MACHINES = re.compile(r"(?<![\w.$}:-])/(home|Users|work|root)/[a-z_][\w.-]*")


def _ours() -> list[Path]:
    return workspace.our_files(ROOT)


def _code() -> Iterator[Path]:
    """The Python of the product, tests not counted."""
    for path in _ours():
        parts = path.relative_to(ROOT).parts
        if path.suffix == ".py" and parts[0] in PRODUCT and "tests" not in parts:
            yield path


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_folders_at_the_top() -> None:
    """Nothing lies at the top but what ARCHITECTURE.md explains."""
    found = {path.relative_to(ROOT).parts for path in _ours()}
    assert {parts[0] for parts in found if len(parts) > 1} == FOLDERS


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_the_documents_at_the_top_lead_on(document: str) -> None:
    """They exist, and every link in them to a file of ours leads to one."""
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / document).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_member_names_itself() -> None:
    """Folder, distribution and package have one name; a library's package lies in its folder."""
    names = {}
    for member in workspace.member_folders(ROOT):
        project = tomllib.loads((member / "pyproject.toml").read_text())
        (package,) = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        assert (member / package / "__init__.py").exists()
        names[_named(member)] = (project["project"]["name"], package)
    assert names == {
        "shared/events": ("hoop-events", "hoop_events"),
        "shared/scheduling": ("hoop-scheduling", "hoop_scheduling"),
        "shared/platform": ("hoop-platform", "hoop_platform"),
        "deploy": ("hoop-local", "local"),
        **{f"services/{name}": (name, name.replace("-", "_")) for name in SERVICES},
    }


def test_every_distribution_is_typed_and_licensed() -> None:
    """Others read its types, may use it, and learn the least version of what it needs: the one that is tested."""
    pins = {pin.name: pin.version for pin in read_pins(ROOT)}
    for member in workspace.member_folders(ROOT):
        project = tomllib.loads((member / "pyproject.toml").read_text())
        (package,) = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        assert (member / package / "py.typed").exists()
        assert project["project"]["license"] == "MIT"
        for needed in map(Requirement, project["project"]["dependencies"]):
            if (pin := pins.get(needed.name)) is not None:
                floor = f">={pin.major}.{pin.minor}"
                assert str(needed.specifier) == floor, f"{member.name}: {needed}, tested {floor}"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) 2026 The Hoop")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_consists_of_roles(name: str) -> None:
    """Package, pyproject, README and tests, and in the package nothing but the roles."""
    folder = ROOT / "services" / name
    inside = {path.relative_to(folder).parts[0] for path in _ours() if folder in path.parents}
    assert inside == {"README.md", "pyproject.toml", "tests", service(name).package}
    package = folder / service(name).package
    files = [path.relative_to(package) for path in _ours() if package in path.parents]
    assert {path.parts[0].removesuffix(".py") for path in files} <= ROLES | DATA


@pytest.mark.parametrize("name", SERVICES)
def test_a_readme_has_the_five_headings(name: str) -> None:
    """The same question is answered at the same place, whatever the service."""
    text = (ROOT / "services" / name / "README.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS


@pytest.mark.parametrize("name", SERVICES)
def test_a_readme_names_every_route_and_event(name: str) -> None:
    """What a service serves, announces and listens to stands in its README; what it hears, by topic at least."""
    text = (ROOT / "services" / name / "README.md").read_text()
    what = service(name)
    said = {route.path.rstrip("/") for route in what.routes} | {e.type for e in what.announces}
    heard = {event.topic for event in what.subscriptions}
    assert sorted(one for one in said | heard if one not in text) == []


def test_imports_point_one_way() -> None:
    """The contracts of import-linter hold; a file that has no role breaks them."""
    assert lint_imports(str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_every_module_says_what_it_is() -> None:
    """The first line of a module is a sentence for a newcomer; an empty package needs none."""
    silent = [_named(p) for p in _code() if (text := p.read_text()) and not text.startswith('"""')]
    assert silent == []


def test_names_say_something() -> None:
    """No utils, no helpers: a thing that has no name has no place."""
    empty = [_named(path) for path in _ours() if EMPTY_NAMES.search(path.stem.lower())]
    assert empty == []


def test_no_module_is_too_long() -> None:
    """Three hundred lines at most."""
    lengths = {_named(path): len(path.read_text().splitlines()) for path in _code()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_a_short_module_has_a_reason() -> None:
    """Under forty lines a module is merged with a neighbour, unless it is a thing of its own."""
    without = {name for name in _short() if not any(fnmatch(name, pattern) for pattern in SHORT)}
    assert without == set()


def test_no_reason_is_left_over() -> None:
    """A pattern that no short module needs any more is removed."""
    short = _short()
    assert [p for p in SHORT if not any(fnmatch(name, p) for name in short)] == []


def _short() -> set[str]:
    """The modules under forty lines; a role of a service is none."""
    return {
        _named(path)
        for path in _code()
        if path.name != "__init__.py" and len(path.read_text().splitlines()) < LEAST_LINES
        if not (path.parents[2] == ROOT / "services" and path.stem in ROLES)
    }


def test_an_init_holds_a_docstring_and_nothing_else() -> None:
    """Names are imported from the module that defines them, so there is no list of them to keep."""
    with_code = [
        _named(path)
        for path in _code()
        if path.name == "__init__.py" and len(ast.parse(path.read_text()).body) > 1
    ]
    assert with_code == []


def test_few_classes_share_a_name() -> None:
    """A name that stands in two modules makes its readers ask which is meant: ten at most do."""
    assert len(structure.repeated_classes(structure.modules(ROOT))) <= 10


def test_services_are_found_by_globbing() -> None:
    """There is no second list of them: a folder with a pyproject.toml is a service."""
    folders = {path.parent.name for path in (ROOT / "services").glob("*/pyproject.toml")}
    assert set(SERVICES) == folders


def test_no_address_and_no_machine() -> None:
    """No file names a package registry, or a path that exists on one machine only."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, timeout=60
    )
    tracked = [ROOT / name for name in listing.stdout.decode().split("\0") if name] or _ours()
    machines = [
        f"{_named(path)}: {found[0]}"
        for path in tracked
        if path.is_file() and path != Path(__file__)
        if (found := MACHINES.search(path.read_bytes().decode(errors="ignore")))
    ]
    assert machines == []
    assert list(repo_checks.addresses(ROOT)) == []


def test_there_is_one_table_of_locations() -> None:
    """Which provider makes the link of which kind of location stands in hoop_events, and nowhere else."""
    kinds = {each.kind for each in LOCATION_KINDS}
    naming = {_named(path) for path in _code() if '"zoom_conference"' in path.read_text()}
    assert naming == {
        "shared/events/hoop_events/meeting_locations.py",
        "services/booking/booking/api/schemas/calendar_fields.py",  # the type of a body's field
        "services/booking/booking/api/examples.py",
        "deploy/local/demo/demo_data.py",
    }
    assert set(get_args(calendar_fields.LocationKind)) == kinds
