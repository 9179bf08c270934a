"""The plan: from whatever may exist at a provider, its steps lead to exactly one object, or to none."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hoop_platform.reconcile.observed_state import (
    SETTLE_TIME,
    ExternalObject,
    ObjectState,
    ObservedAccount,
    ObservedState,
)
from hoop_platform.reconcile.plan import (
    UNCERTAIN_WAIT,
    Create,
    Delete,
    GiveUp,
    InSync,
    LookUp,
    LostCalls,
    Step,
    Update,
    WaitFor,
    next_step,
)

US, THEM = "us", "them"
ACCOUNT = ObservedAccount(US, True, None, "ada", {})
CONTENT = {"title": "as desired"}

OBJECTS = st.builds(
    ExternalObject,
    generation=st.just(0),
    state=st.sampled_from(get_args(ObjectState)),
    connection_id=st.sampled_from([US, THEM]),
    content=st.sampled_from([None, CONTENT, {"title": "old"}]),
    looked_up=st.booleans(),
    age=st.sampled_from([timedelta(), SETTLE_TIME, UNCERTAIN_WAIT, timedelta(hours=1)]),
)


def numbered(objects: list[ExternalObject]) -> list[ExternalObject]:
    """Objects of one subject: numbered, at most one of them live, as the database ensures."""
    lives = [n for n, one in enumerate(objects) if one.state == "live"]
    kept = [one for n, one in enumerate(objects) if n not in lives[1:]]
    return [replace(one, generation=n + 1) for n, one in enumerate(kept)]


class Provider:
    """What each step does to the objects; a lost call may have had its effect or not."""

    def __init__(self, objects: list[ExternalObject], data: st.DataObject) -> None:
        self.objects = {each.generation: each for each in objects}
        self._data = data

    @property
    def observed(self) -> ObservedState:
        return ObservedState(ACCOUNT, [self.objects[g] for g in sorted(self.objects)])

    def take(self, step: Step) -> None:
        match step:
            case LookUp(lost):
                for each in lost:
                    self._look_up(each)
            case Create(generation):
                self._store(ExternalObject(generation, "live", US, content=CONTENT))
            case Update(external):
                self._store(replace(external, content=CONTENT))
            case Delete(external) | GiveUp(external):
                self._store(replace(external, state="gone"))
            case WaitFor(wait):
                for each in list(self.objects.values()):
                    self._store(replace(each, age=each.age + wait))

    def _look_up(self, lost: ExternalObject) -> None:
        if self._data.draw(st.booleans()):
            live = any(each.state == "live" for each in self.observed.ours)
            self._store(replace(lost, state="to_delete" if live else "live", content=CONTENT))
        else:
            self._store(replace(lost, state="gone" if lost.settled else "intended", looked_up=True))

    def _store(self, external: ExternalObject) -> None:
        self.objects[external.generation] = external


@pytest.mark.parametrize("lost_calls", get_args(LostCalls))
@given(
    objects=st.lists(OBJECTS, max_size=4).map(numbered),
    content=st.sampled_from([None, CONTENT]),
    data=st.data(),
)
def test_from_any_state_the_steps_lead_to_the_desired_one(
    lost_calls: LostCalls,
    objects: list[ExternalObject],
    content: dict[str, Any] | None,
    data: st.DataObject,
) -> None:
    """One object with the content, or none; nothing of another connection is touched; no endless loop."""
    open_ones = [o for o in objects if o.state in ("intended", "live") and o.connection_id == US]
    assume(lost_calls != "uncertain" or len(open_ones) < 2)  # the next one waits for the doubtful
    provider = Provider(objects, data)
    for _ in range(40):
        step = next_step(content, provider.observed, lost_calls=lost_calls)
        if isinstance(step, InSync):
            break
        provider.take(step)
    else:
        pytest.fail("the steps never end")

    ours = provider.observed.ours
    live = [each for each in ours if each.state == "live"]
    assert len(live) == (content is not None)
    assert all(each.content == content for each in live)
    assert not [each for each in ours if each.state in ("intended", "to_delete")]
    history = {each.generation: each.state for each in objects if each.connection_id == THEM}
    assert {g: provider.objects[g].state for g in history} == history


def test_an_uncertain_create_is_repeated_once_and_not_at_once() -> None:
    """After two minutes under its own number; then it is given up."""
    lost = ExternalObject(1, "intended", US)
    step = next_step(CONTENT, ObservedState(ACCOUNT, [lost]), lost_calls="uncertain")
    assert step == WaitFor(UNCERTAIN_WAIT)
    later = replace(lost, age=UNCERTAIN_WAIT)
    assert next_step(CONTENT, ObservedState(ACCOUNT, [later]), lost_calls="uncertain") == Create(1)
    again = replace(later, looked_up=True)
    given_up = next_step(CONTENT, ObservedState(ACCOUNT, [again]), lost_calls="uncertain")
    assert given_up == GiveUp(again)
