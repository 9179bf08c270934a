"""Faults that a test has added: which are active, and how often each may still be applied."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class FaultSpec(BaseModel):
    """The fields that all faults have; subclasses add `match` and restrict `do`.

    `times` absent: until deleted or reset. `skip`: that many matching requests are served first.
    """

    model_config = ConfigDict(extra="forbid")

    do: str
    times: Annotated[int, Field(ge=1)] | None = None
    skip: Annotated[int, Field(ge=0)] = 0


Spec = TypeVar("Spec", bound=FaultSpec)


@dataclass
class Fault(Generic[Spec]):
    """An active fault: how many requests matched it, and to how many it was applied."""

    id: str
    spec: Spec
    seen: int = 0
    used: int = 0
    lifted: asyncio.Event = field(default_factory=asyncio.Event)

    def should_apply(self) -> bool:
        """Whether to apply the fault to the request that matches now; counts the request either way."""
        if self.spec.times is not None and self.used >= self.spec.times:
            return False
        self.seen += 1
        if self.seen <= self.spec.skip:
            return False
        self.used += 1
        return True

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, **self.spec.model_dump(), "seen": self.seen, "used": self.used}


class Faults(Generic[Spec]):
    """The active faults, oldest first."""

    def __init__(self, spec_type: type[Spec]) -> None:
        self.spec_type = spec_type
        self._faults: dict[str, Fault[Spec]] = {}
        self._ids = count(1)

    def add(self, spec: Spec) -> Fault[Spec]:
        fault = Fault(f"f{next(self._ids)}", spec)
        self._faults[fault.id] = fault
        return fault

    def all(self) -> list[Fault[Spec]]:
        return list(self._faults.values())

    def remove(self, fault_id: str) -> bool:
        """Lift one fault and end the hangs it causes; False if there is no fault of this id."""
        fault = self._faults.pop(fault_id, None)
        if fault is not None:
            fault.lifted.set()
        return fault is not None

    def clear(self) -> None:
        for fault_id in list(self._faults):
            self.remove(fault_id)

    def take(self, fits: Callable[[Spec], bool]) -> Fault[Spec] | None:
        """The oldest fault that fits and is still to be applied; it counts as applied once more."""
        return next((f for f in self._faults.values() if fits(f.spec) and f.should_apply()), None)
