"""Faults that a test has ordered: which are in force, and how often each may still act."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Order(BaseModel):
    """What every order of a fault says; subclasses add `match` and what `do` may be.

    `times` absent: until deleted or reset. `skip`: let so many that match pass first.
    """

    model_config = ConfigDict(extra="forbid")

    do: str
    times: Annotated[int, Field(ge=1)] | None = None
    skip: Annotated[int, Field(ge=0)] = 0


S = TypeVar("S", bound=Order)


@dataclass
class Fault(Generic[S]):
    id: str
    spec: S
    seen: int = 0
    used: int = 0
    lifted: asyncio.Event = field(default_factory=asyncio.Event)

    def acts(self) -> bool:
        """Whether the one that matches now is to go wrong; counts it either way."""
        if self.spec.times is not None and self.used >= self.spec.times:
            return False
        self.seen += 1
        if self.seen <= self.spec.skip:
            return False
        self.used += 1
        return True

    def shown(self) -> dict[str, Any]:
        return {"id": self.id, **self.spec.model_dump(), "seen": self.seen, "used": self.used}


class Faults(Generic[S]):
    """The faults in force, oldest first."""

    def __init__(self, order: type[S]) -> None:
        self.order = order
        self._faults: dict[str, Fault[S]] = {}
        self._ids = count(1)

    def add(self, order: S) -> Fault[S]:
        fault = Fault(f"f{next(self._ids)}", order)
        self._faults[fault.id] = fault
        return fault

    def all(self) -> list[Fault[S]]:
        return list(self._faults.values())

    def remove(self, fault_id: str) -> bool:
        """Lift one fault: what hangs because of it goes on; false when there is none of this id."""
        fault = self._faults.pop(fault_id, None)
        if fault is not None:
            fault.lifted.set()
        return fault is not None

    def clear(self) -> None:
        for fault_id in list(self._faults):
            self.remove(fault_id)

    def take(self, fits: Callable[[S], bool]) -> Fault[S] | None:
        """The oldest fault that fits and still acts, which is thereby used once."""
        return next((f for f in self._faults.values() if fits(f.spec) and f.acts()), None)
