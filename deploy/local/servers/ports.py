"""Loopback ports: free ones, reserved for one process, and ports with a listening server."""

import asyncio
import contextlib
import fcntl
import os
import secrets
import socket
import tempfile
import time
from pathlib import Path

from local.servers.process import CannotStart

# Below the range from which systems take the ports of outgoing connections (32768 on Linux, 49152
# elsewhere), so that a port found free here is not taken by a passing connection a moment later.
LOWEST, HIGHEST = 20_000, 32_000
LOOPBACK = "127.0.0.1"
_RESERVED: dict[int, int] = {}
"""The ports reserved for this process, each with the file descriptor of its lock."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # a port in TIME_WAIT counts as free
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def is_allowed(port: int) -> bool:
    """Whether this user may listen on the port; those below 1024 are often root's."""
    with contextlib.closing(socket.socket()) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except PermissionError:
            return False
        except OSError:
            return True
    return True


def is_listening(port: int) -> bool:
    """Whether a server accepts connections on this loopback port now."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=0.5).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """`count` different free ports, reserved for this process until it ends.

    A system listens on a port only seconds after it was chosen. Without the reservation two systems
    that start side by side choose the same port now and then, and one of them fails.
    """
    found: list[int] = []
    while len(found) < count:
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        if is_free(port) and reserve(port):
            found.append(port)
    return found


def next_free(port: int) -> int:
    """The first port above this one that a system could use now."""
    above = (each for each in range(max(port, 1024) + 1, 65_536) if is_free(each))
    return next(above, 0)


def reserve(port: int) -> bool:
    """Reserve the port against all other processes of this user; False if one has reserved it."""
    if port in _RESERVED:
        return False
    folder = Path(tempfile.gettempdir()) / f"hoop-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / str(port), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    _RESERVED[port] = lock
    return True


async def until_free(port: int, *, patience: float = 5) -> None:
    """Wait up to `patience` seconds until a port is free; raises `CannotStart` if it stays taken."""
    deadline = time.monotonic() + patience
    while not is_free(port):
        if time.monotonic() > deadline:
            raise CannotStart(f"Port {port} of {LOOPBACK} is taken by another program.")
        await asyncio.sleep(0.1)
