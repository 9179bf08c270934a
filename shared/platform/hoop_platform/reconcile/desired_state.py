"""Desired states: how an external object should be, stored until the provider agrees."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hoop_platform.reconcile.observed_state import ObservedState


@dataclass(frozen=True)
class DesiredState:
    """How the external object of one subject should be.

    `provider` and `provider_user` name the user of the provider whose rate limits the calls count
    against; `connection_id` is the provider account that the calls go through, if there is one.
    """

    account_id: str
    kind: str
    subject: str
    provider: str
    provider_user: str
    due_start: datetime
    """The priority: the earliest is worked on first."""
    desired: dict[str, Any]
    sequence: int | None = None
    """That of the event it comes from: it replaces an older one. None: it replaces one that differs."""
    connection_id: str | None = None
    delay_if_live: timedelta | None = None
    """Added to `due_start` if the object exists: then no more than an update can be needed."""
    wait: timedelta | None = None
    """The first attempt is made after this, unless a newer desired state comes before."""


@dataclass(frozen=True)
class Claimed:
    """A desired state that this worker alone may work on while its lease is held."""

    desired_state: DesiredState
    observed: ObservedState
    revision: int
    """Of the desired state; a newer one makes the attempt obsolete."""
    attempts: int
    lease_token: str
    begun: float
    """The event loop's time just before the lease was taken."""
    announced: dict[str, Any] | None = None
    """The status as last announced, and the number of announcements."""
    announced_sequence: int = 0
    traceparent: str | None = None
