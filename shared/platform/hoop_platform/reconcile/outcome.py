"""The outcome of an attempt, and what is stored with it: objects, the announced status, a record."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hoop_events.base import Event
from hoop_platform.db.database import Tx
from hoop_platform.reconcile.observed_state import ExternalObject

Record = Callable[[Tx], Awaitable[None]]
"""Stores something in the transaction that stores the outcome."""


@dataclass(frozen=True)
class Announcement:
    """A status that differs from the one last announced, and its event."""

    status: Mapping[str, Any]
    event: Event
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is stored when an attempt ends, whatever its result."""

    objects: Sequence[ExternalObject] = ()
    """The external objects that changed since they were last stored."""
    announcement: Announcement | None = None
    record: Record | None = None

    @property
    def status(self) -> str:
        """The status of the desired state: `done`, `due` or `failed`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Done(Outcome):
    """The provider agrees. `again_in`: after this it has to be asked again."""

    again_in: timedelta | None = None

    @property
    def status(self) -> str:
        return "done" if self.again_in is None else "due"


@dataclass(frozen=True)
class Later(Outcome):
    """Not now. `wait` is the provider's own word, else the waits grow.

    `opens_circuit`: nothing else of this user of the provider is tried until then.
    """

    reason: str
    wait: timedelta | None = None
    opens_circuit: bool = False

    @property
    def status(self) -> str:
        return "due"


@dataclass(frozen=True)
class Failed(Outcome):
    """It will never work like this; a newer desired state may."""

    reason: str

    @property
    def status(self) -> str:
        return "failed"
