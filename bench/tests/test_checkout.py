"""The tree of an older commit: written once, a few are kept, and every error names what mends it."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer.testing

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.against import checkout
from bench.against.checkout import KEPT, Unusable, check_clean, resolve, tree_of
from bench.command_line import app


def _git(root: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Bench", "-c", "user.email=bench@example.com")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _commit(root: Path, text: str) -> str:
    (root / "file").write_text(text)
    _git(root, "add", "file")
    _git(root, "commit", "--message", text)
    return _git(root, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, tagged `first`, and a jar in the cache."""
    _git(tmp_path, "init")
    (tmp_path / ".gitignore").write_text(".cache/\n")
    (tmp_path / "program").write_text("#!/bin/sh\n")
    (tmp_path / "program").chmod(0o755)
    _git(tmp_path, "add", ".")
    _commit(tmp_path, "one")
    _git(tmp_path, "tag", "first")
    (tmp_path / ".cache" / "kafka").mkdir(parents=True)
    (tmp_path / ".cache" / "kafka" / "a.jar").write_text("jar")
    return tmp_path


def test_a_ref_is_resolved_to_its_commit(repository: Path) -> None:
    """A tag, a beginning of the id, and a way back from HEAD."""
    first = _git(repository, "rev-parse", "HEAD")
    _commit(repository, "two")
    for ref in ("first", first[:7], "HEAD~1"):
        assert resolve(ref, root=repository) == first


@pytest.mark.parametrize("ref", ["v99", "f672cb1ffff", "HEAD~9", "--all", ""])
def test_an_unknown_ref_is_named(repository: Path, ref: str) -> None:
    with pytest.raises(Unusable, match=r"git knows no commit .* here: `git fetch`"):
        resolve(ref, root=repository)


def test_a_tree_without_git_says_how_to_get_one(tmp_path: Path) -> None:
    """An unpacked archive has no history to compare with."""
    with pytest.raises(Unusable, match="is not a git repository: make it with `git clone`"):
        resolve("HEAD", root=tmp_path)


def test_without_git_the_error_names_it(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(Unusable, match="git is not installed: install it"):
        resolve("HEAD", root=repository)


def test_uncommitted_changes_are_refused(repository: Path) -> None:
    """The figures would belong to no commit. Files that git does not know are not the program's."""
    (repository / "note").write_text("not of the program")
    check_clean(root=repository)
    (repository / "file").write_text("changed")
    with pytest.raises(Unusable, match=r"uncommitted changes in 1 files.*--dirty"):
        check_clean(root=repository)


def test_the_tree_is_the_commits(repository: Path) -> None:
    """Its own files, executable as they were, with the jars that this tree has fetched."""
    first = _git(repository, "rev-parse", "HEAD")
    _commit(repository, "two")
    tree = tree_of(first, root=repository)
    assert (tree / "file").read_text() == "one"
    assert (tree / "program").stat().st_mode & 0o111
    assert (tree / ".cache" / "kafka" / "a.jar").read_text() == "jar"
    (tree / "kept").touch()
    assert tree_of(first, root=repository) == tree
    assert (tree / "kept").exists()


def test_half_a_tree_is_written_anew(repository: Path) -> None:
    """What was interrupted while it was written is no tree of the commit."""
    sha = _git(repository, "rev-parse", "HEAD")
    tree = tree_of(sha, root=repository)
    (tree / checkout.COMPLETE).unlink()
    (tree / "file").unlink()
    assert (tree_of(sha, root=repository) / "file").read_text() == "one"


def test_a_few_trees_are_kept(repository: Path) -> None:
    """The ones that were used last."""
    commits = [_commit(repository, str(number)) for number in range(KEPT + 1)]
    trees = [tree_of(sha, root=repository) for sha in commits]
    assert [tree.exists() for tree in trees] == [False, *[True] * KEPT]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--against", "no-such-commit"], "git knows no commit"),
        (["--fail-over", "3"], "go with --against"),
        (["--dirty"], "go with --against"),
        (["--only", "nothing"], "there is no nothing"),
    ],
)
def test_wrong_usage_ends_with_two(arguments: list[str], complaint: str) -> None:
    """The command line names the mistake, and nothing is started."""
    done = typer.testing.CliRunner().invoke(app, arguments, terminal_width=200)
    assert done.exit_code == 2
    assert complaint in done.output
