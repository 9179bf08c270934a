"""`./hoop up`: starts a system, creates the demo account, runs the demonstration, serves until Ctrl-C."""

import asyncio
import signal
import traceback
from pathlib import Path

from hoop_platform.db.migrate import MigrationChanged, OtherVersion
from local.cli.console import Terminal
from local.cli.options import Exit, UpOptions, WrongUsage
from local.cli.port_check import check_port
from local.cli.system_folder import claim
from local.demo.demo_data import SetupFailed, prepare_demo
from local.demo.demonstration import demonstrate
from local.paths import LOCAL, STACK_FILE
from local.servers.process import CannotStart, disown, own
from local.servers.settings import WrongSetting
from local.stack.lifecycle import Stack
from local.stack.patience import first_of
from local.stack.topology import Tuning

FAILURE_LOG = "up.log"  # in the folder of the logs: the traceback of what nobody expected
AGAIN = "./hoop up again; if it fails again, ./hoop doctor"


def run_up(options: UpOptions) -> int:
    """Run a system as the options say; returns the exit code. Whatever fails is one sentence."""
    terminal = Terminal(json=options.json)
    try:
        check_port(options)
        claim(options.local)
        own(options.local)
        return asyncio.run(_up(options, terminal))
    except WrongUsage as wrong:
        terminal.problem(str(wrong))
        return Exit.USAGE
    except Exception as error:  # noqa: BLE001 -- a person reads the sentence, the log has the traceback
        _report(error, options, terminal)
        return Exit.FAILED
    finally:
        disown(options.local)


def _report(error: Exception, options: UpOptions, terminal: Terminal) -> None:
    """Print why the system does not run: a sentence, the log that tells more, and what to do."""
    cause = first_of(error)
    if isinstance(cause, OtherVersion | MigrationChanged):
        terminal.problem(older_version(options))
    elif isinstance(cause, CannotStart):
        terminal.problem(str(cause), log=cause.log, mend=cause.mend)
    elif isinstance(cause, SetupFailed | WrongSetting):
        terminal.problem(str(cause), log=options.local / "logs", mend=AGAIN)
    else:
        log = _write_traceback(error, options.local / "logs")
        sentence = f"./hoop up failed: {type(cause).__name__}: {str(cause).partition(chr(10))[0]}"
        terminal.problem(sentence, log=log, mend=AGAIN)


def _write_traceback(error: Exception, folder: Path) -> Path | None:
    log = folder / FAILURE_LOG
    try:
        folder.mkdir(parents=True, exist_ok=True)
        log.write_text("".join(traceback.format_exception(error)))
    except OSError:
        return None
    return log


def older_version(options: UpOptions) -> str:
    """The message for data of an older version, with the command that removes them."""
    folder = options.local.name if options.local == LOCAL else options.local
    command = f"./hoop clean{options.local_option}"
    return f"The data in {folder} are of an older version; `{command}` forgets them."


async def _up(options: UpOptions, terminal: Terminal) -> int:
    stack = Stack(
        options.local,
        port=options.port,
        split=options.split,
        progress=terminal,
        tuning=Tuning(zoom_limit=options.zoom_limit, poll=options.poll, limits=options.limits),
    )
    leave = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
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
