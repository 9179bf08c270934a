"""Every sentence that a refusal can say is for its reader: no word of Python, none of a library."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from hoop_platform import errors
from hoop_platform.errors import NotFound, Refused
from local.checks import workspace

ROOT = Path(__file__).parents[2]
PRODUCT = ("services", "shared")
SAY = {"Detail", "invalid", "PydanticCustomError", "time_error", "FieldRule", "_invalid_part"}
PYTHON = re.compile(
    r"\b(None|dict|str|int|float|bool|tuple|datetime|timedelta|isoformat|utcoffset|pydantic"
    r"|ValueError|KeyError|regex|Input should|asyncpg|psycopg)\b"
)


def sentences() -> Iterator[tuple[str, str]]:
    """Where each text stands that a refusal is made of, and the text."""
    for path in workspace.our_files(ROOT):
        parts = path.relative_to(ROOT).parts
        if path.suffix == ".py" and parts[0] in PRODUCT and "tests" not in parts:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _is_refusal(node.func):
                    yield from ((f"{path.name}:{node.lineno}", text) for text in _texts(node))


def _is_refusal(function: ast.expr) -> bool:
    name = getattr(function, "id", getattr(function, "attr", ""))
    kind = getattr(errors, name, None)
    return name in SAY or (isinstance(kind, type) and issubclass(kind, Refused))


def _texts(call: ast.Call) -> Iterator[str]:
    """Texts with spaces: the others are paths, codes and values."""
    for node in ast.walk(call):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value


def test_sentences_are_plain() -> None:
    found = list(sentences())
    assert len(found) > 100
    assert [(where, text) for where, text in found if PYTHON.search(text)] == []


def test_reasons_are_plain() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    reasons = [kind for kind in kinds if issubclass(kind, Refused)]
    assert len(reasons) > 20
    for kind in reasons:
        assert not PYTHON.search(f"{kind.text} {kind.remedy}"), kind


def test_what_is_not_found_is_named() -> None:
    """By its path in the request, and without a word of where else it may be."""
    refusal = NotFound("contactId")
    assert refusal.message == "Not found: contactId."
    assert [(detail.path, detail.code) for detail in refusal.details] == [
        ("contactId", "not_found")
    ]
