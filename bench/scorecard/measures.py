"""What can be measured, by name. Each takes turns with its floor and says what it found."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .desk import Desk
from .plan import Findings, Plan
from .quiet import Watch
from .talk import Talk


@dataclass(frozen=True)
class Task:
    """What every measure works with: how hard to try, whom to tell, and where findings go."""

    plan: Plan
    talk: Talk
    found: Findings


@dataclass(frozen=True)
class Bench(Task):
    """What those work with that measure the whole system: it runs, and has clients."""

    facts: Mapping[str, Any]
    desk: Desk
    watch: Watch


Measure = Callable[[Bench], Awaitable[None]]
"""Measures the running system."""

Alone = Callable[[Task], Awaitable[None]]
"""Measures a part by itself, and starts whatever that needs."""
