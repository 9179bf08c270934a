"""What `./hoop` does first: reads the command line, installs what the command needs, and runs it.

Standard library only. Commands that need nothing run at once; for all others this process becomes
`python -m local` of the environment in `.venv`.
"""

import os
import signal
from collections.abc import Sequence
from typing import NoReturn

from local.cli.commands import parse, run
from local.cli.options import Exit
from local.install.environment import Parts, ensure
from local.install.progress import say
from local.install.venv import PYTHON, Missing


def launch(arguments: Sequence[str]) -> int:
    """Run the command that these arguments name; returns the exit code, if this process runs it."""
    command, options = parse(arguments)
    if command.needs is None:
        signal.signal(
            signal.SIGPIPE, signal.SIG_DFL
        )  # `./hoop logs | head` ends without a traceback
        return run(command, options)
    return _installed(command.needs) or _become(arguments)


def _become(arguments: Sequence[str]) -> NoReturn:
    """Replace this process, so that exit code and signals are those of the command."""
    # -P: no module is imported from the caller's folder.
    os.execv(PYTHON, [str(PYTHON), "-P", "-m", "local", *arguments])


def _installed(parts: Parts) -> int:
    """Install what is missing; returns 0, or the exit code with which the command ends."""
    try:
        ensure(parts)
    except Missing as problem:
        say(str(problem))
        return Exit.MISSING
    except KeyboardInterrupt:
        say("interrupted; the next ./hoop starts the installation again")
        return Exit.INTERRUPTED
    return Exit.OK
