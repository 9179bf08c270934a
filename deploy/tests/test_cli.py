"""The command line: what people and scripts are promised of `./hoop COMMAND`."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local.checks import check
from local.cli.doctor import State, look_at_java, look_at_kafka_jars, look_at_port, look_at_writing
from local.cli.options import MARK, ROOT, STACK_FILE, Exit
from local.servers.settings import BackendSettings


def hoop(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "local", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A folder as `up` leaves it when it was killed: marked, with data, nobody alive."""
    folder = tmp_path / "system"
    (folder / "postgres").mkdir(parents=True)
    (folder / MARK).touch()
    write_stack(folder, 2**22 + 1)
    return folder


def write_stack(folder: Path, pid: int) -> None:
    stack = {"base_url": "http://127.0.0.1:8080", "services": {"booking": {"pid": pid}}}
    (folder / STACK_FILE).write_text(json.dumps(stack))


def test_help_names_every_command_and_the_exit_codes():
    """Without a terminal it is plain text."""
    shown = hoop("--help")

    assert shown.returncode == Exit.OK
    assert "\x1b" not in shown.stdout
    assert all(name in shown.stdout for name in ("up", "test", "check", "bench", "doctor", "clean"))
    assert "3 something is missing" in shown.stdout


def test_without_a_command_it_helps():
    assert hoop().stdout == hoop("--help").stdout


@pytest.mark.parametrize("command", ["up", "test", "bench"])
def test_help_gives_examples(command):
    assert f"./hoop {command}" in hoop(command, "--help").stdout.partition("Example")[2]


def test_version():
    assert hoop("--version").stdout.startswith("hoop 0.")


@pytest.mark.parametrize(
    "wrong", ["down", "up --port many", "up --port 70000", "up --once --no-demo", "clean now"]
)
def test_wrong_usage_is_2(wrong):
    """Scripts tell a typing mistake from a failure."""
    refused = hoop(*wrong.split())

    assert refused.returncode == Exit.USAGE
    assert refused.stdout == ""
    assert "Usage" in refused.stderr


def test_up_refuses_a_folder_of_somebody_else(tmp_path):
    """Else `clean` would one day remove what was never ours."""
    (tmp_path / "thesis.txt").touch()

    assert hoop("up", "--local", tmp_path).returncode == Exit.USAGE
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_clean_forgets_a_system(system):
    done = hoop("clean", "--local", system)

    assert done.returncode == Exit.OK
    assert f"removed {system}: " in done.stdout
    assert not system.exists()


def test_clean_says_as_json_what_it_freed(system):
    (system / "postgres/data").write_bytes(b"x" * 100_000)
    freed = json.loads(hoop("clean", "--json", "--local", system).stdout)["freed"]

    assert freed[str(system)] >= 100_000


def test_clean_of_nothing_is_fine(tmp_path):
    done = hoop("clean", "--local", tmp_path / "never")

    assert (done.returncode, done.stdout[:17]) == (Exit.OK, "nothing to remove")


def test_clean_refuses_while_the_system_runs(system):
    """A process of stack.json is alive: its data stay. Unless forced."""
    with subprocess.Popen(["sleep", "60"]) as alive:
        write_stack(system, alive.pid)
        refused = hoop("clean", "--local", system)
        kept = system.exists()
        forced = hoop("clean", "--force", "--local", system)
        alive.kill()

    assert (refused.returncode, kept) == (Exit.FAILED, True)
    assert str(alive.pid) in refused.stderr
    assert (forced.returncode, system.exists()) == (Exit.OK, False)


@pytest.mark.parametrize("owned", [".", "postgres"])
def test_clean_refuses_while_the_system_starts(system, owned):
    """There is no stack.json yet, but the folder, or that of a server, has its owner."""
    (system / STACK_FILE).unlink()
    owner = system / owned / "owner"
    owner.touch()
    hold = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, 2); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, owner], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        refused = hoop("clean", "--local", system)
        holder.kill()

    assert (refused.returncode, system.exists()) == (Exit.FAILED, True)


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_clean_never_removes_what_is_not_ours(tmp_path, force):
    """However it is asked: a home folder given by mistake stays."""
    (tmp_path / "thesis.txt").touch()
    refused = hoop("clean", *force, "--local", tmp_path)

    assert refused.returncode == Exit.FAILED
    assert (tmp_path / "thesis.txt").exists()


def test_arguments_of_test_go_to_pytest():
    """With and without `--`, and pytest's exit code comes back."""
    here = "deploy/tests/test_cli.py"

    assert "pytest 9" in hoop("test", "--", "--version").stdout
    assert hoop("test", here, "-q", "-k", "no_such_test").returncode == 5
    assert hoop("test", "no/such/folder").returncode == 4


def test_paths_are_meant_from_where_one_stands():
    listed = hoop(
        "test", "test_cli.py::test_version", "--collect-only", "-q", cwd=ROOT / "deploy/tests"
    )

    assert listed.returncode == Exit.OK, listed.stdout
    assert "deploy/tests/test_cli.py::test_version" in listed.stdout


def test_doctor_answers_programs():
    """Each line is ok, a warning or missing; what is not ok says why and what mends it."""
    said = hoop("doctor", "--json", "--port", "0")
    answer = json.loads(said.stdout)
    sick = [one for one in answer["findings"] if one["state"] != "ok"]

    assert {"Python", "Java", "PostgreSQL", "disk"} <= {one["name"] for one in answer["findings"]}
    assert all(one["why"] and one["mend"] for one in sick)
    assert answer["ok"] == all(one["state"] != "missing" for one in answer["findings"])
    assert said.returncode == (Exit.OK if answer["ok"] else Exit.MISSING)


def test_doctor_is_plain_text_without_a_terminal():
    assert "\x1b" not in hoop("doctor").stdout


def test_doctor_sees_a_taken_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = look_at_port(taken.getsockname()[1])

    assert found.state is State.WARN
    assert "--port" in found.mend


def test_doctor_sees_missing_jars(tmp_path):
    """They can be fetched, so it is a warning."""
    assert look_at_kafka_jars(BackendSettings(hoop_kafka_jars=tmp_path)).state is State.WARN


def test_doctor_asks_for_no_java_where_a_broker_is_given():
    assert "not needed" in look_at_java(BackendSettings(kafka_bootstrap="kafka:9092")).found


def test_doctor_sees_where_nobody_may_write():
    found = look_at_writing([Path("/dev/null/none")])

    assert found.state is State.MISSING
    assert "/dev/null/none" in found.found


def test_a_failed_step_keeps_its_output():
    good = check.run(check.Step("good", [sys.executable, "-c", "print('fine')"]))
    bad = check.run(check.Step("bad", [sys.executable, "-c", "raise SystemExit('because')"]))
    absent = check.run(check.Step("absent", ["/no/such/tool"]))

    assert (good.ok, good.output) == (True, "fine\n")
    assert (bad.ok, bad.output) == (False, "because\n")
    assert (absent.ok, "No such file" in absent.output) == (False, True)


def test_check_covers_every_member():
    """A new service is checked without a line changed."""
    declared = {step.folder for step in check.steps() if step.name.startswith("declared")}

    assert {ROOT / "shared/events", ROOT / "shared/platform", ROOT / "services/booking"} <= declared


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_is_130():
    """And nothing of what was started stays behind."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "local", "check"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline().startswith(b"checking")
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)

    assert process.returncode == Exit.INTERRUPTED
