"""The commands of `./hoop`: output, exit codes and effects."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from hoop_platform.config import with_database
from hoop_platform.db.migrate import migrate
from local.checks import check
from local.cli import logs, port_check, up
from local.cli.doctor import Severity, check_java, check_kafka_jars, check_port, check_writing
from local.cli.options import Exit, UpOptions, WrongUsage
from local.cli.system_folder import claim
from local.cli.up import older_version
from local.paths import MARK, ROOT, STACK_FILE
from local.servers import postgres, unprivileged
from local.servers.ports import free_ports
from local.servers.settings import BackendSettings


def hoop(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "local", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A folder as a killed `up` leaves it: marked, with data, without running processes."""
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
    assert all(
        name in shown.stdout
        for name in ("up", "status", "logs", "open", "book", "test", "check", "doctor", "clean")
    )
    assert "3 something is missing" in shown.stdout


def test_without_a_command_it_prints_the_help():
    assert hoop().stdout == hoop("--help").stdout


@pytest.mark.parametrize("command", ["up", "test", "bench"])
def test_help_gives_examples(command):
    assert f"./hoop {command}" in hoop(command, "--help").stdout.partition("Example")[2]


def test_version():
    assert hoop("--version").stdout.startswith("hoop 0.")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("down", "'down' is no command"),
        ("up --port many", "'many' is not a number from 0 to 65535"),
        ("up --port 70000", "'70000' is not a number from 0 to 65535"),
        ("up --once --no-demo", "--once stops after the demonstration"),
        ("up --zoom-limit 0", "'0' is not a number from 1 to 100000"),
        ("up --poll never", "'never' is not a number of seconds"),
        ("clean now", "now"),
        ("logs --local /nowhere", "there are no logs in /nowhere"),
    ],
)
def test_wrong_usage_is_2(wrong, said):
    """Scripts can distinguish wrong usage from a failure; people are told what is allowed."""
    refused = hoop(*wrong.split())

    assert refused.returncode == Exit.USAGE
    assert refused.stdout == ""
    assert said in refused.stderr


def test_up_refuses_a_folder_with_other_files(tmp_path):
    """Otherwise `clean` would remove those files."""
    (tmp_path / "thesis.txt").touch()

    assert hoop("up", "--local", tmp_path).returncode == Exit.USAGE
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ("a file", "a file is a file. Choose a folder."),
        ("a file/below", "a file is a file. Choose a folder."),
        ("/proc/hoop", "cannot be written"),
        ("x" * 300, "cannot be written (File name too long)"),
        ("x/" * 400, "this path has"),
    ],
)
def test_up_refuses_a_folder_that_cannot_be_one(tmp_path, odd, said):
    """One sentence, before anything starts."""
    (tmp_path / "a file").touch()
    refused = hoop("up", "--port", "0", "--local", tmp_path / odd)

    assert (refused.returncode, refused.stderr) == (Exit.USAGE, "")
    assert said in refused.stdout
    assert len(refused.stdout.splitlines()) == 1


def test_up_names_who_holds_the_port_and_the_next_free_one(tmp_path):
    """Before anything starts: the same command with another port is ready to be copied."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = hoop("up", "--split", "--port", str(port), "--local", tmp_path / "new one")

    found = re.search(r"Beside it: ./hoop up --port (\d+) --split --local '(.*)'$", refused.stdout)
    assert (refused.returncode, refused.stderr) == (Exit.USAGE, "")
    assert f"Port {port} is taken by" in refused.stdout
    assert f"(process {os.getpid()})" in refused.stdout
    assert found
    assert int(found[1]) > port
    assert found[2] == str(tmp_path / "new one")
    assert not (tmp_path / "new one").exists()


def test_the_port_of_another_hoop_is_named_by_its_folder(tmp_path):
    """Its process is known by its command, whose last argument is the folder of its logs."""
    code = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0));"
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    written = tmp_path / "a system" / "logs"
    with subprocess.Popen(
        [sys.executable, "-c", code, "local.stack.all_in_one", written],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout
        port = int(other.stdout.readline())
        with pytest.raises(WrongUsage) as refused:
            port_check.check_port(UpOptions(port=port, local=written.parent))
        other.kill()

    assert f"the Hoop in {written.parent} (process {other.pid})" in str(refused.value)
    assert f"--local '{written.parent}-2'" in str(refused.value)


def test_a_failure_is_one_sentence_with_its_log(tmp_path, monkeypatch, capsys):
    """Whatever happens: the traceback is in the log, a person reads what to do."""

    async def fail(*_):
        raise ExceptionGroup("several", [RuntimeError("the disk sighed\nand more")])

    monkeypatch.setattr(up, "_up", fail)
    code = up.run_up(UpOptions(port=0, local=tmp_path / "system"))
    said = capsys.readouterr().out.splitlines()

    log = tmp_path / "system/logs/up.log"
    assert code == Exit.FAILED
    assert said == [
        "✗ ./hoop up failed: RuntimeError: the disk sighed",
        f"  log   {log}",
        f"  mend  {up.AGAIN}",
    ]
    assert "Traceback" in log.read_text()


def test_status_of_nothing(system):
    """What a killed `up` left is not taken for a running system."""
    done = hoop("status", "--local", system)
    as_json = json.loads(hoop("status", "--json", "--local", system).stdout)

    assert done.returncode == Exit.FAILED
    assert f"./hoop up --local {system}" in done.stderr
    assert as_json == {"running": False, "local": str(system)}


@pytest.mark.parametrize("command", ["open", "book"])
def test_nothing_to_look_at(system, command):
    done = hoop(command, "--local", system)

    assert (done.returncode, done.stdout) == (Exit.FAILED, "")
    assert "No Hoop runs in" in done.stderr


def test_logs_are_printed_with_the_name_of_their_part(system):
    """The last lines of each, or of those that are named."""
    (system / "logs").mkdir()
    (system / "logs/booking.log").write_text("one\ntwo\nthree\n")
    (system / "postgres/postgres.log").write_text("ready\n")
    all_logs = hoop("logs", "-n", "2", "--local", system)
    one = hoop("logs", "postgres", "--local", system)
    other = hoop("logs", "nobody", "--local", system)

    assert all_logs.stdout == "booking  | two\nbooking  | three\npostgres | ready\n"
    assert one.stdout == "postgres | ready\n"
    assert other.returncode == Exit.USAGE
    assert "there are booking, postgres" in other.stderr


def test_logs_are_followed(system):
    """Whole lines, as they are written; a log that begins anew is read from its beginning."""
    log = logs.LogFile("booking", system / "booking.log")
    log.path.write_text("one\n")
    assert log.last(5) == ["one\n"]
    with log.path.open("a") as file:
        file.write("two\nthr")
        file.flush()
        assert log.new() == ["two\n"]
        file.write("ee\n")
    assert log.new() == ["three\n"]
    log.path.write_text("new\n")
    assert log.new() == ["new\n"]


def test_clean_removes_a_system(system):
    done = hoop("clean", "--local", system)

    assert done.returncode == Exit.OK
    assert f"removed {system}: " in done.stdout
    assert not system.exists()


def test_clean_prints_the_freed_bytes_as_json(system):
    (system / "postgres/data").write_bytes(b"x" * 100_000)
    freed = json.loads(hoop("clean", "--json", "--local", system).stdout)["freed"]

    assert freed[str(system)] >= 100_000


def test_clean_of_nothing_is_fine(tmp_path):
    done = hoop("clean", "--local", tmp_path / "never")

    assert (done.returncode, done.stdout[:17]) == (Exit.OK, "nothing to remove")


def test_clean_refuses_while_the_system_runs(system):
    """A process of stack.json runs: the data stay, except with `--force`."""
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
    """There is no stack.json yet, but the folder, or that of a server, has an owner."""
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
def test_clean_never_removes_other_folders(tmp_path, force):
    """Not even with `--force`: a home folder named by mistake stays."""
    (tmp_path / "thesis.txt").touch()
    refused = hoop("clean", *force, "--local", tmp_path)

    assert refused.returncode == Exit.FAILED
    assert (tmp_path / "thesis.txt").exists()


def test_arguments_of_test_go_to_pytest():
    """With and without `--`; the exit code is pytest's."""
    file = "deploy/tests/test_cli.py"

    assert "pytest 9" in hoop("test", "--", "--version").stdout
    assert hoop("test", file, "-q", "-k", "no_such_test").returncode == 5
    assert hoop("test", "no/such/folder").returncode == 4


def test_paths_are_relative_to_the_current_folder():
    listed = hoop(
        "test", "test_cli.py::test_version", "--collect-only", "-q", cwd=ROOT / "deploy/tests"
    )

    assert listed.returncode == Exit.OK, listed.stdout
    assert "deploy/tests/test_cli.py::test_version" in listed.stdout


def test_doctor_prints_json_for_programs():
    """Each finding is ok, a warning or missing; those that are not ok contain a reason and a fix."""
    done = hoop("doctor", "--json", "--port", "0")
    report = json.loads(done.stdout)
    bad = [one for one in report["findings"] if one["state"] != "ok"]

    assert {"Python", "Java", "PostgreSQL", "disk"} <= {one["name"] for one in report["findings"]}
    assert all(one["why"] and one["mend"] for one in bad)
    assert report["ok"] == all(one["state"] != "missing" for one in report["findings"])
    assert done.returncode == (Exit.OK if report["ok"] else Exit.MISSING)


def test_doctor_is_plain_text_without_a_terminal():
    assert "\x1b" not in hoop("doctor").stdout


def test_doctor_finds_a_taken_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = check_port(taken.getsockname()[1])

    assert found.state is Severity.WARN
    assert "--port" in found.mend


def test_doctor_warns_of_missing_jars(tmp_path):
    """They can be fetched, so this is only a warning."""
    assert check_kafka_jars(BackendSettings(hoop_kafka_jars=tmp_path)).state is Severity.WARN


def test_doctor_needs_no_java_with_an_external_broker():
    assert "not needed" in check_java(BackendSettings(kafka_bootstrap="kafka:9092")).found


def test_doctor_finds_folders_that_cannot_be_written():
    found = check_writing([Path("/dev/null/none")])

    assert found.state is Severity.MISSING
    assert "/dev/null/none" in found.found


def test_a_failed_step_keeps_its_output():
    good = check.run(check.CheckStep("good", [sys.executable, "-c", "print('fine')"]))
    bad = check.run(check.CheckStep("bad", [sys.executable, "-c", "raise SystemExit('because')"]))
    absent = check.run(check.CheckStep("absent", ["/no/such/tool"]))

    assert (good.ok, good.output) == (True, "fine\n")
    assert (bad.ok, bad.output) == (False, "because\n")
    assert (absent.ok, "No such file" in absent.output) == (False, True)


def test_check_covers_every_member():
    """A new service is checked without a change of the checks."""
    declared = {step.folder for step in check.steps() if step.name.startswith("declared")}

    assert {ROOT / "shared/events", ROOT / "shared/platform", ROOT / "services/booking"} <= declared


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_is_130():
    """And no process that was started keeps running."""
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


@pytest.fixture
async def older_system(tmp_path: Path) -> AsyncIterator[Path]:
    """The folder of a system whose database of booking was migrated by another version."""
    folder = tmp_path / "system"
    claim(folder)
    server = await postgres.start(folder / "postgres", port=free_ports(1)[0], durable=True)
    try:
        await migrate(with_database(server.dsn, "booking"))
        connection = await asyncpg.connect(with_database(server.dsn, "booking"))
        await connection.execute(
            "INSERT INTO schema_migrations (version, checksum) VALUES ($1, $2)",
            "booking/migrations/0001_of_another_version.sql",
            "0",
        )
        await connection.close()
    finally:
        await server.stop()
    yield folder
    unprivileged.forget(folder / "postgres")


async def test_data_of_an_older_version_end_up_with_a_hint(older_system):
    """One sentence that names the command, exit code 1; nothing is removed."""
    done = await asyncio.to_thread(hoop, "up", "--once", "--port", "0", "--local", older_system)

    sentence = f"of an older version; `./hoop clean --local {older_system}` forgets them."
    assert done.returncode == Exit.FAILED, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == f"✗ The data in {older_system} are {sentence}"
    assert (older_system / "postgres").exists()


def test_data_in_the_usual_folder_are_named_by_it():
    """There `./hoop clean` needs no option."""
    assert older_version(UpOptions()) == (
        "The data in .local are of an older version; `./hoop clean` forgets them."
    )
