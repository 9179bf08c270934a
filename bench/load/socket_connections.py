"""The load generator, as a program: a closed loop over plain sockets, which cost little CPU time.

Reads one order as JSON from standard input and writes the latencies by response as JSON to standard
output. Each connection sends its next request as soon as the response is complete.
"""

import json
import re
import select
import socket
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import cycle
from typing import Any

BUFFER = bytearray(1 << 20)
"""Shared by all connections: bytes that arrive are counted, not kept."""
STALLED = 30.0  # seconds without any response
REASON = re.compile(rb'"code": ?"(\w+)"')


class _Connection:
    """One connection, and the response that it waits for."""

    __slots__ = ("begun", "missing", "response", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.missing, self.begun, self.response = 0, 0.0, b""

    def send(self, request: bytes) -> None:
        self.begun = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Read what has arrived; say whether the response is complete."""
        count = self.socket.recv_into(BUFFER)
        if not count:
            raise ConnectionError("the server hung up")
        if self.missing:
            self.missing -= count
        else:
            self.missing = self._response_size(count) - count
        return not self.missing

    def _response_size(self, count: int) -> int:
        """Return the size of head and body, by the head."""
        end = BUFFER.index(b"\r\n\r\n", 0, count) + 4
        at = BUFFER.index(b"Content-Length: ", 0, end) + 16
        self.response = self._outcome(end, count)
        return end + int(BUFFER[at : BUFFER.index(b"\r", at, end)])

    def _outcome(self, end: int, count: int) -> bytes:
        """Return the status; of a refusal also its code, which is in the first chunk of the response."""
        status = bytes(BUFFER[9:12])
        reason = None if status == b"200" else REASON.search(BUFFER, end, count)
        return status if reason is None else status + b" " + reason[1]


def _run_order(order: dict[str, Any]) -> dict[str, Any]:
    texts = [text.encode() for text in order["requests"]]
    requests = iter(texts) if order["once"] else cycle(texts)
    connections = [_Connection(order["port"]) for _ in range(order["connections"])]
    begun, cpu = time.perf_counter(), time.process_time()
    took = _closed_loop(connections, requests, begun + order["seconds"])
    passed, spent = time.perf_counter() - begun, time.process_time() - cpu
    for connection in connections:
        connection.socket.close()
    latencies = {outcome.decode(): ms for outcome, ms in took.items()}
    return {"seconds": passed, "cpu": spent, "latencies": latencies}


def _closed_loop(
    connections: list[_Connection], requests: Iterator[bytes], end: float
) -> dict[bytes, list[float]]:
    """Send until `end`, then wait for the last responses; return milliseconds by outcome."""
    poll, by_number = select.epoll(), {one.socket.fileno(): one for one in connections}
    took, waiting = defaultdict[bytes, list[float]](list), 0
    for connection, request in zip(connections, requests, strict=False):
        poll.register(connection.socket, select.EPOLLIN)
        connection.send(request)
        waiting += 1
    while waiting:
        ready = poll.poll(STALLED)
        if not ready:
            raise TimeoutError("no response")
        for number, _ in ready:
            connection = by_number[number]
            if not connection.receive():
                continue
            now = time.perf_counter()
            took[connection.response].append((now - connection.begun) * 1000)
            following = next(requests, None) if now < end else None
            if following is None:
                waiting -= 1
            else:
                connection.send(following)
    return took


if __name__ == "__main__":
    json.dump(_run_order(json.load(sys.stdin)), sys.stdout)
