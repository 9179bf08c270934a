"""Server processes: started in a session of their own, recorded in a pid file, stopped reliably.

A folder has one owner, the Python process that started the server in it. If the owner is killed,
the next owner finds the server that is still running and stops it first.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
BUSY = "stop other programs, then ./hoop up again: everything continues where it was"
MOST_OF_A_LINE = 300  # characters of a log's line that are repeated in an error
_TICK = 0.02
_owned: dict[Path, int] = {}


class CannotStart(Exception):
    """A part could not be started; the text says why in one sentence.

    log: the file that tells more. mend: the command that helps, if the sentence does not name it.
    """

    def __init__(self, reason: str, *, log: Path | None = None, mend: str = "") -> None:
        super().__init__(reason)
        self.log = log
        self.mend = mend


def own(folder: Path) -> Path:
    """Make this process the owner of the folder, which is created if necessary; returns its full path.

    The lock is released when the process ends. A process may call this repeatedly for a folder.
    Raises `CannotStart` if another process is the owner.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if folder in _owned:
        return folder
    lock = os.open(folder / "owner", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.read(lock, 20).decode()
        os.close(lock)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        raise CannotStart(
            f"{folder} is in use by the process {owner}. Stop that process, or use another folder."
        ) from error
    os.truncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    _owned[folder] = lock
    return folder


def disown(folder: Path) -> None:
    """Release the folder for other owners."""
    if folder in _owned:
        os.close(_owned.pop(folder))


def command_of(pid: int) -> str:
    """The command line of a running process; empty if there is none, or if it is a zombie."""
    if Path("/proc/self").exists():
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        return ""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, check=False, timeout=5
    )
    return listed.stdout.decode(errors="replace").strip()


@dataclass(frozen=True, kw_only=True)
class ServerProcess:
    """A server process and its log file."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The operating system's id of the process."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs; reading this reaps a process that has ended."""
        return self.process.poll() is None

    def last_lines(self, lines: int = 15) -> str:
        """The end of the log file."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def last_words(self) -> str:
        """The line of the log that says most about an end: the last one that continues no other."""
        lines = [line for line in self.last_lines(60).splitlines() if line.strip()]
        whole = [line for line in lines if not line[0].isspace()]
        return next(reversed(whole or lines), "it wrote nothing").strip()[:MOST_OF_A_LINE]

    async def stop(self, sign: signal.Signals, *, grace: float = 15) -> None:
        """Send the signal; kill the process if it still runs after `grace` seconds."""
        if self.alive:
            self.process.send_signal(sign)
        deadline = time.monotonic() + grace
        while self.alive:
            if time.monotonic() > deadline:
                self.process.kill()
            await asyncio.sleep(_TICK)


def spawn(
    name: str,
    command: Sequence[str | Path],
    *,
    folder: Path,
    log: Path,
    identity: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> ServerProcess:
    """Start a server whose command contains `folder`; its output is appended to `log`.

    The server runs in a session of its own: Ctrl-C at the terminal reaches only this process, which
    stops its servers in the right order.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env={**ENVIRONMENT, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **(identity or {}),
        )
    _pid_file(name, folder).write_text(str(process.pid))
    return ServerProcess(name=name, log=log, process=process)


@asynccontextmanager
async def ended_on_failure(server: ServerProcess, sign: signal.Signals) -> AsyncIterator[None]:
    """A block in which a fresh server becomes ready: failed or cancelled, it leaves no process.

    Until the block is left nobody else knows of the server, so nobody else could stop it.
    """
    try:
        yield
    except BaseException:
        try:
            await server.stop(sign)
        finally:  # a second cancellation does not wait
            if server.alive:
                server.process.kill()
        raise


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A program that has ended: its exit code and what it wrote."""

    code: int
    output: str
    errors: str

    @property
    def last_words(self) -> str:
        """The last line of what it wrote, the errors first."""
        lines = [line for line in (self.errors or self.output).splitlines() if line.strip()]
        return lines[-1].strip()[:MOST_OF_A_LINE] if lines else f"exit code {self.code}"


async def run_to_end(
    command: Sequence[str | Path],
    *,
    limit: float,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    identity: Mapping[str, Any] | None = None,
) -> Finished:
    """Run a program to its end; it is killed with its children on cancellation and after `limit` seconds.

    Raises `CannotStart` for a program that takes longer.
    """
    process = await asyncio.create_subprocess_exec(
        *(str(part) for part in command),
        cwd=folder,
        env={**ENVIRONMENT, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **(identity or {}),
    )
    try:
        async with asyncio.timeout(limit):
            output, errors = await process.communicate()
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if isinstance(error, TimeoutError):
            name = Path(command[0]).name
            raise CannotStart(f"{name} did not end within {limit:.0f} s.", mend=BUSY) from error
        raise
    return Finished(
        code=process.returncode or 0,
        output=output.decode(errors="replace"),
        errors=errors.decode(errors="replace"),
    )


async def end_leftover(name: str, folder: Path, sign: signal.Signals, *, grace: float = 15) -> bool:
    """Stop the server that a former owner of the folder left running; returns whether there was one."""
    found = pid = _leftover(name, folder)
    deadline = time.monotonic() + grace
    while pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign if time.monotonic() < deadline else signal.SIGKILL)
        await asyncio.sleep(_TICK * 10)
        pid = _leftover(name, folder)
    return found is not None


def _leftover(name: str, folder: Path) -> int | None:
    """The pid in the pid file if that process is the server and not another one with a reused pid."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        pid = int(_pid_file(name, folder).read_text())
        return pid if str(folder) in command_of(pid) else None
    return None


def _pid_file(name: str, folder: Path) -> Path:
    return folder / f"{name}.pid"
