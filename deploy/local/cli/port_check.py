"""The port of the public API, checked before anything starts: who holds it, and what to do instead."""

from pathlib import Path

from local.cli.options import UpOptions, WrongUsage, quoted
from local.paths import LOCAL
from local.servers import port_holder
from local.servers.ports import is_allowed, is_free, next_free, reserve


def check_port(options: UpOptions) -> None:
    """Reserve the port of the public API. Raises `WrongUsage` if another program has it."""
    port = options.port
    if port == 0:
        return
    if not is_allowed(port):
        raise WrongUsage(f"Port {port} needs root. Beside it: {_instead(options, options.local)}")
    if not is_free(port):
        holder = port_holder.holder_of(port)
        local = options.local
        if holder and holder.system == options.local:
            local = _another(options.local)
        raise WrongUsage(
            f"Port {port} is taken by {holder or 'another program'}."
            f" Beside it: {_instead(options, local)}"
        )
    if not reserve(port):
        raise WrongUsage(
            f"Port {port} is taken by another Hoop, which is just starting."
            f" Beside it: {_instead(options, options.local)}"
        )


def _instead(options: UpOptions, local: Path) -> str:
    """The same command with the next free port, and with this folder."""
    given = {
        "--once": options.once,
        "--no-demo": not options.demo,
        "--split": options.split,
        "--json": options.json,
        "--limits": options.limits,
    }
    words = [name for name, is_given in given.items() if is_given]
    if options.zoom_limit is not None:
        words.append(f"--zoom-limit {options.zoom_limit}")
    if options.poll is not None:
        words.append(f"--poll {options.poll:g}")
    if local != LOCAL:
        words.append(f"--local {quoted(local)}")
    return " ".join(["./hoop up", f"--port {next_free(options.port)}", *words])


def _another(local: Path) -> Path:
    """A folder for a second system beside the first one."""
    names = (local.with_name(f"{local.name}-{number}") for number in range(2, 1000))
    return next(name for name in names if not name.exists())
