"""The plan: the next step from the observed state to the desired one. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from hoop_platform.reconcile.observed_state import SETTLE_TIME, ExternalObject, ObservedState

LostCalls = Literal["found", "repeated", "uncertain"]
"""What can be done about a create whose response was lost. found: a search at the provider finds the
object by its mark · repeated: the same create again has its effect once · uncertain: neither."""

UNCERTAIN_WAIT = timedelta(minutes=2)
"""After this an uncertain create is repeated, with the same identity, once."""


@dataclass(frozen=True)
class InSync:
    """The provider agrees, or nothing can be changed any more."""


@dataclass(frozen=True)
class LookUp:
    """Search for the objects that calls without a response may have created."""

    lost: tuple[ExternalObject, ...]


@dataclass(frozen=True)
class Create:
    """Create the object of this generation, with its intent stored first.

    `content`: what the object is to say, if a repeat has to say the same to the last byte. `data`:
    what has to be known of it besides. An uncertain create is repeated with what its intent says.
    """

    generation: int
    content: Mapping[str, Any] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Update:
    external: ExternalObject


@dataclass(frozen=True)
class Delete:
    external: ExternalObject


@dataclass(frozen=True)
class WaitFor:
    """Nothing can be done before `wait` is over; None: growing waits."""

    wait: timedelta | None
    reason: str = "a lost call may still come true"


@dataclass(frozen=True)
class GiveUp:
    """The object may or may not exist; nothing more is tried with it.

    `followed`: something else is to be done at once. Else a newer desired state is needed.
    """

    external: ExternalObject
    reason: str = "the outcome is uncertain"
    followed: bool = False


Call = LookUp | Create | Update | Delete
"""The steps that call the provider."""
Step = InSync | Call | WaitFor | GiveUp


def next_step(
    content: Mapping[str, Any] | None, observed: ObservedState, *, lost_calls: LostCalls
) -> Step:
    """The next step towards exactly one object with this content, or none if it is None."""
    lost = [found for found in observed.ours if found.state == "intended"]
    if lost_calls == "found" and any(not found.looked_up or found.settled for found in lost):
        return LookUp(tuple(lost))
    if lost_calls == "uncertain" and lost:
        return repeat_once(lost[0]) if content is not None else GiveUp(lost[0], followed=True)
    if unneeded := _unneeded(content, observed, lost_calls):
        return Delete(unneeded[0])
    if content is not None and (step := _towards(content, observed, lost_calls)):
        return step
    unsettled = [SETTLE_TIME - found.age for found in lost]
    return WaitFor(max(unsettled)) if unsettled and lost_calls == "found" else InSync()


def _kept(observed: ObservedState, lost_calls: LostCalls) -> ExternalObject | None:
    """The object that serves the subject: the live one, or the one that a repeated create will make."""
    lost = [found for found in observed.ours if found.state == "intended"]
    return observed.live or (lost[-1] if lost and lost_calls == "repeated" else None)


def _unneeded(
    content: Mapping[str, Any] | None, observed: ObservedState, lost_calls: LostCalls
) -> list[ExternalObject]:
    kept = _kept(observed, lost_calls) if content is not None else None
    states = ["to_delete", "live", *(["intended"] if lost_calls == "repeated" else [])]
    return [found for found in observed.ours if found.state in states and found is not kept]


def _towards(
    content: Mapping[str, Any], observed: ObservedState, lost_calls: LostCalls
) -> Create | Update | None:
    kept = _kept(observed, lost_calls)
    if kept is None:
        return Create(observed.next_generation)
    if kept.state == "intended":
        return Create(kept.generation)
    return None if kept.content == content else Update(kept)


def repeat_once(lost: ExternalObject) -> Create | WaitFor | GiveUp:
    """The next step for an uncertain create: one repeat after `UNCERTAIN_WAIT`, then none."""
    if lost.looked_up:
        return GiveUp(lost)
    if lost.age < UNCERTAIN_WAIT:
        return WaitFor(UNCERTAIN_WAIT - lost.age)
    return Create(lost.generation)
