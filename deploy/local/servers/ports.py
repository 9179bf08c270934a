"""Loopback ports: free ones, and ports with a listening server."""

import asyncio
import contextlib
import secrets
import socket
import time

from local.servers.process import CannotStart

# Below the range from which systems take the ports of outgoing connections (32768 on Linux, 49152
# elsewhere), so that a port found free here is not taken by a passing connection a moment later.
LOWEST, HIGHEST = 20_000, 32_000
LOOPBACK = "127.0.0.1"


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


def is_listening(port: int) -> bool:
    """Whether a server accepts connections on this loopback port now."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=0.5).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """`count` different free ports, chosen at random so that parallel runs rarely collide."""
    found: set[int] = set()
    while len(found) < count:
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        if is_free(port):
            found.add(port)
    return list(found)


async def until_free(port: int, *, patience: float = 5) -> None:
    """Wait up to `patience` seconds until a port is free; raises `CannotStart` if it stays taken."""
    deadline = time.monotonic() + patience
    while not is_free(port):
        if time.monotonic() > deadline:
            raise CannotStart(f"Port {port} of {LOOPBACK} is taken by another program.")
        await asyncio.sleep(0.1)
