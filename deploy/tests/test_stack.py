"""The start of a system: ports that nobody else takes meanwhile, and a part that ends is reported at once."""

import socket
import subprocess
import sys
from contextlib import closing

import pytest

from local.servers import ports
from local.servers.ports import LOOPBACK, free_ports
from local.servers.process import CannotStart
from local.stack.patience import until_ok
from local.stack.supervisor import start_program
from local.stack.topology import SERVICES, url

TAKE = """
import sys
from local.servers import ports
ports.LOWEST, ports.HIGHEST = int(sys.argv[1]), int(sys.argv[1]) + 40
print(*ports.free_ports(10), flush=True)
sys.stdin.read()  # the reservation lasts as long as the process
"""


@pytest.fixture
def narrow_range(monkeypatch):
    """Forty ports to choose from, for this process and those that are told of it."""
    lowest = 19_000
    monkeypatch.setattr(ports, "LOWEST", lowest)
    monkeypatch.setattr(ports, "HIGHEST", lowest + 40)
    return lowest


def test_systems_that_start_side_by_side_choose_different_ports(narrow_range):
    """Ports are chosen seconds before anybody listens on them."""
    command = [sys.executable, "-c", TAKE, str(narrow_range)]
    others = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)
    ]
    try:
        chosen = [int(port) for one in others for port in one.stdout.readline().split()]
        chosen += free_ports(10)
    finally:
        for one in others:
            one.communicate(timeout=20)
    assert len(chosen) == len(set(chosen)) == 30


async def test_a_program_that_ends_at_its_start_is_reported_with_its_log(tmp_path):
    """A service that cannot listen fails the start at once, not after the time limit."""
    [port] = free_ports(1)
    with closing(socket.create_server((LOOPBACK, port))):
        module, upstreams = "local.stack.dev_gateway", [f"{name}=1" for name in SERVICES]
        command = [sys.executable, "-m", module, str(port), *upstreams, str(tmp_path)]
        program = await start_program("gateway", command, folder=tmp_path, environment={})
        with pytest.raises(CannotStart, match=r"(?s)gateway: ended at its start.*address already"):
            await until_ok(url(port) + "/health/live", program)
