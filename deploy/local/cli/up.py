"""`./hoop up`: starts a system, creates the demo account, runs the demonstration, serves until Ctrl-C."""

import asyncio
import signal

from hoop_platform.db.migrate import MigrationChanged, OtherVersion
from local.cli.console import Terminal
from local.cli.options import Exit, UpOptions
from local.demo.demo_data import SetupFailed, prepare_demo
from local.demo.demonstration import demonstrate
from local.paths import LOCAL, STACK_FILE
from local.servers.process import CannotStart, disown, own
from local.stack.lifecycle import Stack


def run_up(options: UpOptions) -> int:
    """Run a system as the options say; returns the exit code."""
    terminal = Terminal(json=options.json)
    try:
        own(options.local)
        return asyncio.run(_up(options, terminal))
    except (OtherVersion, MigrationChanged):
        terminal.problem(older_version(options))
        return Exit.FAILED
    except (CannotStart, SetupFailed) as error:
        terminal.problem(str(error))
        return Exit.FAILED
    finally:
        disown(options.local)


def older_version(options: UpOptions) -> str:
    """The message for data of an older version, with the command that removes them."""
    named = "" if options.local == LOCAL else f" --local {options.local}"
    folder = options.local.name if options.local == LOCAL else options.local
    return f"The data in {folder} are of an older version; `./hoop clean{named}` forgets them."


async def _up(options: UpOptions, terminal: Terminal) -> int:
    stack = Stack(options.local, port=options.port, split=options.split, progress=terminal)
    leave = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, leave.set)
    try:
        return await _serve(stack, options, terminal, leave)
    finally:
        async with terminal.step("everything stopped"):
            await stack.stop()


async def _serve(stack: Stack, options: UpOptions, terminal: Terminal, leave: asyncio.Event) -> int:
    """Start, demonstrate, and wait for a signal, which may arrive at any moment."""
    starting = asyncio.ensure_future(_start_and_show(stack, options, terminal))  # noqa: TID251 -- raced against the signal
    leaving = asyncio.ensure_future(leave.wait())  # noqa: TID251 -- as above
    try:
        await asyncio.wait({starting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return Exit.INTERRUPTED
        good = await starting
        if options.once:
            return Exit.OK if good else Exit.FAILED
        terminal.invite(stack.facts())
        await leaving
    finally:
        starting.cancel()
        leaving.cancel()
        await asyncio.gather(starting, leaving, return_exceptions=True)
    return Exit.OK


async def _start_and_show(stack: Stack, options: UpOptions, terminal: Terminal) -> bool:
    """Start the system and run the demonstration (see `UpOptions.demo`); returns whether every effect came true."""
    account = await stack.start()
    async with terminal.step("demo account: calendars, Zoom and Google connected"):
        demo = await prepare_demo(stack.base_url, account)
    stack.announce(demo.facts)
    terminal.line(f"ready {stack.base_url} {stack.folder / STACK_FILE}")
    if not options.demo:
        return True
    return await demonstrate(stack.facts(), stack.traces.of, terminal)
