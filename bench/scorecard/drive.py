"""The load generator, as a program: asks over plain sockets, for it must cost less than the server.

Reads one order as JSON from standard input and writes what came back to standard output. Each
connection asks again as soon as it was answered; requests are bytes made before.
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
"""Shared: what arrives is counted, not kept."""
STALLED = 30.0  # seconds without any answer
REASON = re.compile(rb'"code": ?"(\w+)"')


class _Connection:
    """One connection and the answer it waits for."""

    __slots__ = ("begun", "missing", "said", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.missing, self.begun, self.said = 0, 0.0, b""

    def ask(self, request: bytes) -> None:
        self.begun = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Take what has arrived; say whether the answer is complete."""
        count = self.socket.recv_into(BUFFER)
        if not count:
            raise ConnectionError("the server hung up")
        if self.missing:
            self.missing -= count
        else:
            self.missing = self._whole(count) - count
        return not self.missing

    def _whole(self, count: int) -> int:
        """How many bytes the answer has, by its head."""
        end = BUFFER.index(b"\r\n\r\n", 0, count) + 4
        at = BUFFER.index(b"Content-Length: ", 0, end) + 16
        self.said = self._answered(end, count)
        return end + int(BUFFER[at : BUFFER.index(b"\r", at, end)])

    def _answered(self, end: int, count: int) -> bytes:
        """The status; of a refusal its code as well, which stands in the first piece that came."""
        status = bytes(BUFFER[9:12])
        reason = None if status == b"200" else REASON.search(BUFFER, end, count)
        return status if reason is None else status + b" " + reason[1]


def _go(order: dict[str, Any]) -> dict[str, Any]:
    texts = [text.encode() for text in order["requests"]]
    requests = iter(texts) if order["once"] else cycle(texts)
    connections = [_Connection(order["port"]) for _ in range(order["connections"])]
    begun, cpu = time.perf_counter(), time.process_time()
    took = _ask(connections, requests, begun + order["seconds"])
    passed, spent = time.perf_counter() - begun, time.process_time() - cpu
    for connection in connections:
        connection.socket.close()
    answers = {said.decode(): ms for said, ms in took.items()}
    return {"seconds": passed, "cpu": spent, "answers": answers}


def _ask(
    connections: list[_Connection], requests: Iterator[bytes], end: float
) -> dict[bytes, list[float]]:
    """Until the end, then until everybody was answered: milliseconds of each, by the answer."""
    poll, by_number = select.epoll(), {one.socket.fileno(): one for one in connections}
    took, waiting = defaultdict[bytes, list[float]](list), 0
    for connection, request in zip(connections, requests, strict=False):
        poll.register(connection.socket, select.EPOLLIN)
        connection.ask(request)
        waiting += 1
    while waiting:
        ready = poll.poll(STALLED)
        if not ready:
            raise TimeoutError("no answer")
        for number, _ in ready:
            connection = by_number[number]
            if not connection.receive():
                continue
            now = time.perf_counter()
            took[connection.said].append((now - connection.begun) * 1000)
            following = next(requests, None) if now < end else None
            if following is None:
                waiting -= 1
            else:
                connection.ask(following)
    return took


if __name__ == "__main__":
    json.dump(_go(json.load(sys.stdin)), sys.stdout)
