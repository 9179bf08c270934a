"""What the documents name exists: commands with their options, paths, modules, metrics, links."""

import importlib
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from hoop_platform import telemetry
from hoop_platform.service.process import commands_of
from local.checks import workspace
from local.cli.commands import COMMANDS
from local.stack.topology import SERVICES, service

ROOT = Path(__file__).parents[2]
OLD_DECISION = re.compile(r"docs/decisions/(000\d|001[01])-")
"""They stay as they were written; page 0012 says what is called otherwise by now."""
CODE = re.compile(r"```\w*\n(.*?)```|`([^`\n]+)`|^ {4}(\S.*)$", re.MULTILINE | re.DOTALL)
PATH = re.compile(
    r"[A-Za-z.][\w.*-]*(/[\w.*{},-]*)+|[\w.-]+\.(py|md|sql|yaml|toml|txt|in|lock|conf|sh)"
)
DOTTED = re.compile(r"(hoop_\w+|local|simulators)(\.\w+)+")
METRIC = re.compile(r"hoop_[a-z_]+(?=\{|$)")
PACKAGES = {service(name).package: service(name) for name in SERVICES}
EVERY_SERVICE = {"<package>", "<service>"}
NOT_PATHS = re.compile(r"https?:|[a-z]+/[a-z]+\.(readonly|write)$|<|…|NNNN|^/")
"""Addresses, scopes, and names with a part to fill in."""


def documents() -> Iterator[Path]:
    for path in workspace.our_files(ROOT):
        name = str(path.relative_to(ROOT))
        if path.suffix == ".md" and not OLD_DECISION.match(name) and name != "CHANGELOG.md":
            yield path


DOCUMENTS = sorted(documents())
each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS]
)


def code(document: Path) -> Iterator[str]:
    """The lines of code blocks and the texts of code spans, without comments."""
    for found in CODE.findall(document.read_text()):
        for line in "\n".join(found).splitlines():
            if text := line.partition(" # ")[0].strip():
                yield text


def words_after(text: str, command: str) -> Iterator[list[str]]:
    """The words of each call of a command in a line."""
    for call in re.split(r"\s*(?:&&|\||·|;)\s*", text):
        if call.startswith(command):
            yield call.removeprefix(command).split()


def options_of(name: str) -> set[str]:
    actions = COMMANDS[name].parser._actions  # argparse offers no other list
    return {option for action in actions for option in action.option_strings}


@each_document
def test_every_call_of_hoop_works(document: Path) -> None:
    """The command is one of its, and so is each option before those that are passed on."""
    known = set(COMMANDS)
    wrong = []
    for text in code(document):
        for words in words_after(text, "./hoop"):
            name = next(iter(words), "")
            ours = words[1 : words.index("--") if "--" in words else None]
            options = {word.partition("=")[0] for word in ours if word.startswith("--")}
            if name in {"", "COMMAND", "--help", "--version"} or name in {"|", "…"}:
                continue
            if name not in known or (name != "test" and not options <= options_of(name)):
                wrong.append(text)
    assert wrong == []


@each_document
def test_every_module_that_is_run_can_be(document: Path) -> None:
    """`python -m` names a module of ours, and a service's command is one that it has."""
    wrong = []
    for text in code(document):
        for words in words_after(text, "python -m"):
            module, command = [*words, "", ""][:2]
            if module in EVERY_SERVICE:
                good = command in {"", "serve"} or all(
                    command in commands_of(each) for each in PACKAGES.values()
                )
            elif module in PACKAGES:
                good = command in {"", "serve", *commands_of(PACKAGES[module])}
            else:
                good = find_spec(module) is not None
            if not good:
                wrong.append(text)
    assert wrong == []


@each_document
def test_every_path_leads_somewhere(document: Path) -> None:
    """From the root, from the document, or the end of a path that there is; `*` for several."""
    files = [str(path.relative_to(ROOT)) for path in workspace.our_files(ROOT)]
    wrong = []
    for text in code(document):
        for word in text.split():
            if PATH.fullmatch(word.strip(",.:()")) and not NOT_PATHS.search(word):
                wrong += [
                    one for one in alternatives(word.strip(",.:()")) if not is_there(one, files)
                ]
    assert [one for one in wrong if not is_beside(document, one)] == []


def alternatives(word: str) -> list[str]:
    """`a/{b,c}` is two paths."""
    found = re.search(r"\{([\w.,-]+)\}", word)
    if found is None:
        return [word]
    return [word.replace(found[0], one) for one in found[1].split(",")]


def is_there(path: str, files: list[str]) -> bool:
    if re.match(r"\.(local|cache|venv)\b|bench/results", path):
        return True  # made at run time
    pattern = re.escape(path.rstrip("/")).replace(r"\*", r"[^/]*")
    return any(re.search(rf"(^|/){pattern}(/|$)", file) for file in files)


def is_beside(document: Path, path: str) -> bool:
    return (document.parent / path).exists()


@each_document
def test_every_dotted_name_can_be_imported(document: Path) -> None:
    wrong = []
    for text in code(document):
        for found in DOTTED.finditer(text):
            module, _, name = found[0].rpartition(".")
            if not (find_spec_of(found[0]) or hasattr(importlib.import_module(module), name)):
                wrong.append(found[0])
    assert wrong == []


def find_spec_of(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@each_document
def test_every_metric_is_measured(document: Path) -> None:
    assert telemetry.lag is not None  # importing it is what registers them
    known = {
        name for family in REGISTRY.collect() for name in (family.name, f"{family.name}_total")
    }
    named = {found[0] for text in code(document) if (found := METRIC.match(text))}
    modules = {"hoop_events", "hoop_platform", "hoop_scheduling"}
    assert named - known - modules == set()


@each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []
