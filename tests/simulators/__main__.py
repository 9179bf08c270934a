"""Run one simulator as a process: `python -m simulators zoom|google|mail --port N`.

Prints `ready http://127.0.0.1:N` when it serves (mail adds ` smtp 127.0.0.1:N`); SIGTERM and Ctrl-C
stop it at once. `--set NAME=VALUE` sets a knob (VALUE is JSON, or else a text).
"""

import argparse
import asyncio
import json
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from simulators.google import simulator as google
from simulators.mail import simulator as mail
from simulators.zoom import simulator as zoom


class RunningSimulator(Protocol):
    """A simulator that serves; `ready_line` says where."""

    @property
    def ready_line(self) -> str: ...


def main() -> None:
    asyncio.run(serve_until_signal(_arguments()))


async def serve_until_signal(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with _serve(arguments) as sim:
        print(sim.ready_line, flush=True)
        await stop.wait()


def _serve(arguments: argparse.Namespace) -> AbstractAsyncContextManager[RunningSimulator]:
    serve: Any = {"zoom": zoom.serve, "google": google.serve, "mail": mail.serve}[arguments.name]
    options = dict(arguments.set)
    if arguments.name == "mail":
        options["http_port"] = arguments.http_port
    return serve(  # type: ignore[no-any-return]  # the three differ in their options only
        arguments.port,
        log_file=arguments.log_file,
        clock_offset_file=arguments.clock_offset_file,
        state_file=arguments.state_file,
        **options,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulators", description=__doc__)
    parser.add_argument("name", choices=["zoom", "google", "mail"])
    parser.add_argument("--port", type=int, default=0, help="of SMTP for mail; 0: any free one")
    parser.add_argument("--http-port", type=int, default=0, help="of the mail inbox")
    parser.add_argument("--log-file", type=Path, help="append every request as a line of JSON")
    parser.add_argument("--clock-offset-file", type=Path, help="seconds to add to real time")
    parser.add_argument("--state-file", type=Path, help="where state is kept over an orderly stop")
    parser.add_argument("--set", action="append", default=[], type=_knob, metavar="NAME=VALUE")
    return parser.parse_args()


def _knob(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("must be NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


if __name__ == "__main__":
    main()
