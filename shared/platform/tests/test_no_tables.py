"""A service without tables of its own: `prepare` creates the platform's, whatever its folder holds."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hoop_platform.db.migrate import migrate, scripts

Package = Callable[..., str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """Creates an importable package `tableless` with these files."""

    def create(**files: str) -> str:
        folder = tmp_path / "tableless"
        folder.mkdir()
        (folder / "__init__.py").touch()
        for name, text in files.items():
            path = folder / "migrations" / f"{name}.sql"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return "tableless"

    monkeypatch.syspath_prepend(str(tmp_path))
    yield create
    sys.modules.pop("tableless", None)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"0001_nothing": ""},
        {"0001_nothing": "-- Nothing yet."},
        {"0001_nothing": "/* Nothing yet. */\n;"},
    ],
    ids=["no folder", "an empty file", "a comment", "a comment and a semicolon"],
)
async def test_a_schema_may_be_the_platforms_alone(
    package: Package, new_database: Any, files: dict[str, str]
) -> None:
    """Applied once; the second time there is nothing to do, and the platform's tables are there."""
    name = package(**files)
    database = await new_database()
    assert await migrate(database.dsn, name) == [
        script.name for script in scripts(name) if script.name.startswith("tableless/")
    ]
    assert await migrate(database.dsn, name) == []
    assert await database.fetchval("SELECT count(*) FROM work") == 0
