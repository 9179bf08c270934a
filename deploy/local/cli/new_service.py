"""`./hoop new-service`: writes a consumer that works, registers it, and says what to do next."""

import importlib
import keyword
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from hoop_events.base import Event
from hoop_events.catalogue import EVENTS
from hoop_platform.config import Settings
from local.cli.options import Exit
from local.codegen.generate import COMMAND, run_codegen, stale_files
from local.codegen.new_service import URL, files, setting_of
from local.paths import ROOT
from local.stack.topology import SIMULATORS, package_of

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_NAME = 40
DATABASES = {"hoop", "limits", "postgres", "template0", "template1"}
"""Databases that there are besides those of the services, which have their names."""
BIN = Path(sys.executable).parent


class NameRefused(Exception):
    """No new service can have this name, or handle this event; the text says why."""


def run_new_service(name: str, *, event_type: str) -> int:
    """Write the files of the service, format them, and write all generated files again.

    Raises `NameRefused`, and then writes nothing.
    """
    event = event_of(event_type)
    check_name(name)
    folder = ROOT / "services" / name
    for path, text in files(name, event).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        print(f"wrote {file.relative_to(ROOT)}")
    if not (_format(folder) and _register(folder)):
        return Exit.FAILED
    print(_next_steps(name))
    return Exit.OK


def event_of(event_type: str) -> type[Event]:
    """The event of this type name."""
    by_type = {event.type: event for event in EVENTS}
    if event_type not in by_type:
        known = ", ".join(sorted(by_type))
        raise NameRefused(f"there is no event {event_type}; there are {known}")
    return by_type[event_type]


def check_name(name: str) -> None:
    """Raise `NameRefused` unless a folder, a package, a database and a container may be called so."""
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        rule = f"lowercase letters, digits and single hyphens, {LONGEST_NAME} characters at most"
        raise NameRefused(f"{name!r} is no name of a service: {rule}, a letter first")
    if (ROOT / "services" / name).exists():
        raise NameRefused(f"services/{name} exists")
    package = package_of(name)
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        raise NameRefused(f"{package} is a keyword of Python")
    if (ROOT / package).exists() or _is_importable(package):
        raise NameRefused(f"there is a package or folder {package} already")
    if package in DATABASES or name in SIMULATORS or name in _containers():
        raise NameRefused(f"a part of the system is called {name} already")
    if setting_of(name) in Settings.model_fields or f"{setting_of(name).upper()}:" in _compose():
        raise NameRefused(f"{setting_of(name).upper()} is a setting already")


def _is_importable(package: str) -> bool:
    return package in sys.stdlib_module_names or find_spec(package) is not None


def _containers() -> set[str]:
    """The names in compose.yaml: of containers, volumes and networks."""
    return set(re.findall(r"^  ([\w-]+):", _compose(), re.MULTILINE))


def _compose() -> str:
    return (ROOT / "deploy" / "compose.yaml").read_text()


def _format(folder: Path) -> bool:
    """Sort the imports, which depends on the service's name, and format; returns whether ruff is content."""
    for command in (["check", "--fix", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run([BIN / "ruff", *command, folder], cwd=ROOT, check=False, timeout=60)
        if done.returncode:
            return False
    return True


def _register(folder: Path) -> bool:
    """Write the generated files, in which every service stands that has a folder; returns whether they are.

    An event that breaks its contract is reported, but is no reason why the new service would not work.
    """
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        return run_codegen(check=False) or not stale_files()
    except Exception as error:  # noqa: BLE001 -- any service may be broken; the new one is written
        print(f"{COMMAND} fails: {error!r}; mend that and run it again", file=sys.stderr)
        return False


def _next_steps(name: str) -> str:
    package, variable = package_of(name), setting_of(name).upper()
    return f"""
{name} is a service now: `./hoop up`, the gateway, compose and the checks know it.
  ./hoop check
  ./hoop test services/{name}
  ./hoop up    posts to {URL}; elsewhere {variable} says where
Its own code begins in services/{name}/{package}/handlers.py; docs/howto/add-a-service.md leads on."""
