"""The intent of a create: how it is stored before the call, repeated, and what a refusal makes of it. Pure."""

from dataclasses import replace
from datetime import timedelta

from hoop_platform.providers.errors import CallRefused, RequestRejected
from hoop_platform.reconcile.observed_state import ExternalObject, ObservedState
from hoop_platform.reconcile.plan import Create, LostCalls


def intended_object(
    intent: ExternalObject, step: Create, observed: ObservedState
) -> ExternalObject:
    """The object as it is stored before the call: what the adapter knows of it, and the step."""
    return replace(
        intent,
        connection_id=observed.account.connection_id if observed.account else None,
        content=step.content,
        data={**intent.data, **step.data},
    )


def uncertain_object(
    observed: ObservedState, generation: int, *, lost_calls: LostCalls
) -> ExternalObject | None:
    """The object of this generation, if it may exist and nobody can find out."""
    if lost_calls != "uncertain":
        return None
    intended = (each for each in observed.objects if each.state == "intended")
    return next((each for each in intended if each.generation == generation), None)


def repeated_object(lost: ExternalObject) -> ExternalObject:
    """An uncertain create is repeated with the same identity, and not repeated again."""
    return replace(lost, looked_up=True, age=timedelta())


def refused_object(
    intended: ExternalObject, error: CallRefused, *, lost: ExternalObject | None
) -> ExternalObject:
    """The object after a refusal: it does not exist; its row says why, if it is refused for good.

    `lost`: an earlier create of it may have had its effect. Then it stays as it was, still to be
    repeated, unless it is refused for good: this create alone certainly had no effect.
    """
    rejected = {"rejected": str(error)} if isinstance(error, RequestRejected) else {}
    if lost is not None and not rejected:
        return lost
    return replace(intended, state="gone", content=None, data={**intended.data, **rejected})
