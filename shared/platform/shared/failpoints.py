"""Places where a test may make a process die or freeze. Inert unless the environment arms them."""

import asyncio
import os
import signal

_armed: dict[str, tuple[str, int]] = {}


def arm(spec: str) -> None:
    """Arm from `name=kill:3,other=stop:1,third=raise:2`: at the n-th passing, once."""
    for part in filter(None, spec.split(",")):
        name, _, action = part.partition("=")
        deed, _, count = action.partition(":")
        _armed[name.strip()] = (deed, int(count or 1))


async def fp(name: str) -> None:
    """Pass a fail point."""
    if not _armed or name not in _armed:
        return
    deed, left = _armed[name]
    if left > 1:
        _armed[name] = (deed, left - 1)
        return
    del _armed[name]
    await _do(deed, name)


async def _do(deed: str, name: str) -> None:
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif deed == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif deed == "hang":
        await asyncio.sleep(3600)
    else:
        raise RuntimeError(f"fail point {name}")
