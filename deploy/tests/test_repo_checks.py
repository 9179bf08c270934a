"""The rules of this repository that `./hoop check` checks."""

from pathlib import Path

import pytest

from local.checks import repo_checks

MAVEN = "maven2"
LOCK = """
aiohttp==3.14.5 \\
    --hash=sha256:0133c3c3b54a0bf1e71fa5c1ad95c93f07fd54e24ef1fe182f5122e1573d2bf1
    # via
    #   -r requirements.in
    #   aiokafka
yarl==1.25.1 ; python_full_version < '3.15' \\
    --hash=sha256:038c2c7e8caa26b6c8423779b5eaf1893904048a512c19b32fe841ffa5592b50
    # via aiohttp
"""


def write_requirements(folder: Path, required: str, lock: str = LOCK) -> Path:
    (folder / "requirements.in").write_text(required)
    (folder / "requirements.lock").write_text(lock.lstrip())
    return folder


def test_a_lock_in_step(tmp_path):
    assert not list(
        repo_checks.lock_in_step(write_requirements(tmp_path, "aiohttp>=3.13  # HTTP\n"))
    )


@pytest.mark.parametrize(
    ("required", "breach"),
    [
        ("aiohttp\nrich", "requirements.in: rich is not in requirements.lock"),
        ("# nothing", "requirements.lock: aiohttp is no longer in requirements.in"),
        ("aiohttp>=4", "requirements.lock: aiohttp 3.14.5 is not aiohttp>=4"),
    ],
)
def test_a_lock_out_of_step(tmp_path, required, breach):
    assert list(repo_checks.lock_in_step(write_requirements(tmp_path, required))) == [breach]


def test_a_pin_without_a_hash(tmp_path):
    without = "aiohttp==3.14.5\n    # via -r requirements.in\n"
    folder = write_requirements(tmp_path, "aiohttp", without)

    assert list(repo_checks.lock_in_step(folder)) == ["requirements.lock: aiohttp has no hash"]


@pytest.mark.parametrize(
    "words",
    [  # in pieces, because this file is checked too
        ("see", f"https://{repo_checks.REGISTRIES[0]}/"),
        ("--index-url", "https://packages.example.com/x"),
        ("extra-index-url", "=", "packages.example.com"),
        ("--find-links", "http://wheels.example.com"),
        ("see", f"https://mirror.example.com/{MAVEN}/org"),
    ],
)
def test_an_address_is_found(tmp_path, words):
    """Whoever builds the tree may use another registry."""
    (tmp_path / "notes.md").write_text(f"first\n{' '.join(words)}\n")

    assert [breach.partition(": ")[0] for breach in repo_checks.addresses(tmp_path)] == [
        "notes.md:2"
    ]


@pytest.mark.parametrize(
    "line", ["uv … --no-emit-index-url \\", "https://example.com/simple-words"]
)
def test_other_addresses_are_allowed(tmp_path, line):
    (tmp_path / "notes.md").write_text(line)

    assert not list(repo_checks.addresses(tmp_path))


def test_an_unused_requirement_is_found(tmp_path):
    """Except programs and plugins, which are marked in the reason."""
    required = "rich  # tables\nruff  # command: lint\norjson  # JSON\n"
    folder = write_requirements(tmp_path, required)
    (folder / "pyproject.toml").write_text("[tool.uv.workspace]\nmembers = []")
    (folder / "one.py").write_text("import rich.table\nfrom typer import Option")

    assert list(repo_checks.requirements_used(folder)) == [
        "requirements.in: nothing imports orjson",
        "one.py: imports typer, which requirements.in does not name",
    ]
