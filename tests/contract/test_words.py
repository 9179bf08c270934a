"""The words of the glossary stand alone: no retired word in a name, and the worst of them in no text either."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.checks import workspace

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
RETIRED = frozenset(
    line
    for line in (HERE / "retired_words.txt").read_text().splitlines()
    if line and not line.startswith("#")
)
NOT_EVEN_IN_PROSE = frozenset(
    {
        "wish",
        "wishes",
        "wished",
        "rewish",
        "doom",
        "doomed",
        "quarantine",
        "quarantined",
        "readtoken",
        "shelf",
        "shelves",
    }
)  # fmt: skip -- a list to read, not a column
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
"""A word of snake_case, camelCase, kebab-case or prose."""
IDENTIFIER = re.compile(r"[A-Za-z_][\w.:/-]*")
SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|TRUNCATE|DROP)\b")
SQL_TEXT = re.compile(r"--[^\n]*|'[^']*'")
COMMENT = re.compile(r"^\s*(#|//).*$|\s#\s.*$", re.MULTILINE)
NAMES_ONLY = {".yaml", ".yml", ".toml", ".mjs", ".conf", ".properties"}
"""Files of names and values: all their words are names, comments aside."""
EXCEPTED = re.compile(
    r"docs/decisions/(000|001[012]).*|CHANGELOG\.md|.*\.lock|.*package-lock\.json"
    r"|tests/contract/(retired_words\.txt|test_words\.py)"
)
"""Old decision pages and the changelog stay as they were written, page 0012 lists the old names, locks
are not ours."""
TERMS_OF_OTHERS: frozenset[str] = frozenset()
"""Terms of vendors and platforms that contain a retired word."""


def words(text: str) -> set[str]:
    return {word.lower() for word in WORD.findall(text)}


def our_files() -> Iterator[Path]:
    for path in workspace.our_files(ROOT):
        if not EXCEPTED.fullmatch(str(path.relative_to(ROOT))):
            yield path


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name that a module defines or uses, with its line."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        for field in ("id", "attr", "arg", "name", "asname"):
            if isinstance(name := getattr(node, field, None), str):
                yield line, name
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from ((line, name) for name in names_in_string(node.value))


def names_in_string(text: str) -> Iterator[str]:
    """A string that is one name (a label, a state, a field, a failpoint), or the names of its SQL."""
    if IDENTIFIER.fullmatch(text):
        yield text
    elif SQL.search(text):
        yield SQL_TEXT.sub(" ", text)


def retired_in(path: Path) -> Iterator[str]:
    """Each retired word in a file's names, as `line: name`."""
    text = path.read_text(errors="ignore")
    if path.suffix == ".py" or path.name == "hoop":
        found = identifiers(ast.parse(text))
    elif path.suffix == ".sql":
        found = enumerate(re.sub(r"--[^\n]*", "", text).splitlines(), start=1)
    elif path.suffix in NAMES_ONLY:
        found = enumerate(COMMENT.sub("", text).splitlines(), start=1)
    else:
        return
    for line, name in found:
        if (words(name) & RETIRED) and name not in TERMS_OF_OTHERS:
            yield f"{line}: {name.strip()[:80]}"


def test_the_copy_is_whole() -> None:
    """Twenty-one words, and those that are not free in prose are among them."""
    assert len(RETIRED) == 21
    assert NOT_EVEN_IN_PROSE < RETIRED


def test_no_name_holds_a_retired_word() -> None:
    """Identifiers, columns, tables, states, metrics, labels, log fields, failpoints."""
    found = [f"{path.relative_to(ROOT)}:{one}" for path in our_files() for one in retired_in(path)]
    assert found == []


def test_no_file_is_named_by_a_retired_word() -> None:
    found = [str(p) for path in our_files() if words(str(p := path.relative_to(ROOT))) & RETIRED]
    assert found == []


def test_no_text_holds_the_worst_of_them() -> None:
    """Documents, comments, docstrings, messages: there they would still be a private language."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in our_files()
        for number, line in enumerate(path.read_text(errors="ignore").splitlines(), start=1)
        if words(line) & NOT_EVEN_IN_PROSE
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "def rewish(): ...",
        "class ToldOnce: ...",
        "x.places = 1",
        "f(gate=1)",
        'await fp("meeting_made")',
        'db.execute("SELECT place FROM offsets")',
        "from store import made as external",
        'f"{trouble}"',
    ],
)
def test_a_retired_word_is_found_wherever_it_hides(source: str, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(source)
    assert len(list(retired_in(module))) >= 1


def test_prose_is_free(tmp_path: Path) -> None:
    """`place`, `made`, `told` and `gate` are ordinary English."""
    module = tmp_path / "module.py"
    module.write_text('"""Made in one place."""\nlog("told at the gate")  # made here\n')
    assert list(retired_in(module)) == []
