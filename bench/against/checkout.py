"""An older commit as a tree of its own, with an environment of its own, below `.cache/bench`."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from bench.report.machine import ROOT

KEPT = 3
"""Trees of older commits that stay for the next time, the latest used ones."""
COMPLETE = ".complete"
"""Written last: without this file the tree is not whole."""
SHORT = 10


class Unusable(Exception):
    """The comparison cannot begin; the text says why, and what mends it."""


def resolve(ref: str, *, root: Path = ROOT) -> str:
    """Return the full id of the commit `ref`; `Unusable` if git does not know one."""
    if _git(root, "rev-parse", "--git-dir") is None:
        raise Unusable(
            f"{root} is not a git repository: make it with `git clone`, and run it there"
        )
    sha = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if sha is None:
        raise Unusable(
            f"git knows no commit {ref!r} here: `git fetch` brings those of others,"
            " `git log --oneline` lists what is here"
        )
    return sha


def check_clean(*, root: Path = ROOT) -> None:
    """`Unusable` if files that git knows differ from the last commit."""
    changed = (_git(root, "status", "--porcelain", "--untracked-files=no") or "").splitlines()
    if changed:
        raise Unusable(
            f"this tree has uncommitted changes in {len(changed)} files, so its figures would"
            " belong to no commit: commit them, or measure them as they are with --dirty"
        )


def tree_of(sha: str, *, root: Path = ROOT) -> Path:
    """Return the folder with the files of this commit; write it unless it is there from last time."""
    cache = root / ".cache" / "bench"
    tree = cache / sha
    if not (tree / COMPLETE).exists():
        _write_tree(sha, tree, root)
    os.utime(tree / COMPLETE)
    _remove_oldest(cache, keep=tree)
    return tree


def _write_tree(sha: str, tree: Path, root: Path) -> None:
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    # An archive, not a `git worktree`: the repository needs no entry of a folder that may vanish.
    archive = subprocess.Popen(["git", "archive", sha], cwd=root, stdout=subprocess.PIPE)
    assert archive.stdout is not None
    with archive, tarfile.open(fileobj=archive.stdout, mode="r|") as files:
        # Python before 3.11.4 has no filters, and 3.14 warns without one.
        files.extraction_filter = getattr(tarfile, "tar_filter", None)
        files.extractall(tree)
    if archive.returncode:
        raise Unusable(f"`git archive {sha[:SHORT]}` failed; `git fsck` says what is broken")
    _share_kafka(root / ".cache" / "kafka", tree / ".cache" / "kafka")
    (tree / COMPLETE).touch()


def _share_kafka(ours: Path, theirs: Path) -> None:
    """Link the jars that were fetched already; whatever is missing, the commit fetches for itself."""
    theirs.mkdir(parents=True)
    for jar in ours.glob("*.jar"):
        try:
            os.link(jar, theirs / jar.name)
        except OSError:  # another file system
            shutil.copy2(jar, theirs / jar.name)


def _remove_oldest(cache: Path, *, keep: Path) -> None:
    """Remove all but the `KEPT` trees that were used last."""
    trees = [tree for tree in cache.iterdir() if tree.is_dir() and tree != keep]
    trees.sort(key=_used, reverse=True)
    for tree in trees[KEPT - 1 :]:
        shutil.rmtree(tree, ignore_errors=True)


def _used(tree: Path) -> float:
    marker = tree / COMPLETE
    return marker.stat().st_mtime if marker.exists() else 0.0


def prepare_environment(tree: Path) -> None:
    """Let the `./hoop` of that tree make its environment, once; its progress goes to standard error."""
    done = subprocess.run(
        [sys.executable, str(tree / "hoop"), "--version"],
        cwd=tree,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise Unusable(
            f"the environment of {tree} could not be made: see above, and `./hoop doctor`"
        )


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git prints, without the line's end; None if the command fails."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError as error:
        raise Unusable(
            "git is not installed: install it (apt install git, brew install git)"
        ) from error
    return done.stdout.strip() if done.returncode == 0 else None
