"""What can be measured, by name. Each takes turns with its floor and says what it found."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .desk import Desk
from .plan import Findings, Plan
from .quiet import Watch
from .talk import Talk


@dataclass(frozen=True)
class Bench:
    """What every measure works with: a running system, a client of it, and where findings go."""

    facts: Mapping[str, Any]
    plan: Plan
    desk: Desk
    watch: Watch
    talk: Talk
    found: Findings


Measure = Callable[[Bench], Awaitable[None]]
