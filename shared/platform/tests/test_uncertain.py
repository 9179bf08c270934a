"""Providers that cannot look up what a lost call left: one repeat with the same identity, then doubt."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

import pytest

from hoop_platform.clock import Clock
from hoop_platform.db.database import Database, LeaseLost, Row
from hoop_platform.ids import new_id
from hoop_platform.providers.errors import (
    CallPostponed,
    OutcomeUnknown,
    ProviderError,
    RequestRejected,
)
from hoop_platform.reconcile import claims
from hoop_platform.reconcile.attempt import attempt
from hoop_platform.reconcile.claims import Finish, Position, claim_due
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.reconcile.observed_state import ExternalObject, ObservedState
from hoop_platform.reconcile.outcome import Done
from hoop_platform.reconcile.plan import (
    Create,
    GiveUp,
    InSync,
    LostCalls,
    Step,
    repeat_once,
)
from hoop_platform.reconcile.reconciler import CallContext, Existing, Reconciler
from hoop_platform.reconcile.work import desire
from hoop_platform.reconcile.worker import Worker
from hoop_platform.runtime import Runtime

ACCOUNT, SUBJECT = new_id(), new_id()
OVER = timedelta(minutes=3)
SENT = {"about": "hello", "sent": True}


@dataclass
class Post:
    """Sends letters: each answer is that of one call; no answer is left: accepted."""

    lost_calls: ClassVar[Any] = "uncertain"
    oauth: ClassVar[Any] = None
    daily_limit: ClassVar[Any] = None
    answers: list[ProviderError] = field(default_factory=list)
    received: list[tuple[str, str]] = field(default_factory=list)

    def intent(self, call: CallContext, generation: int) -> ExternalObject:
        return ExternalObject(generation, "intended", external_id=f"{call.subject}-{generation}")

    async def create(self, _call: CallContext, _desired: str, intended: ExternalObject) -> Existing:
        assert intended.external_id is not None
        assert intended.content is not None
        self.received.append((intended.external_id, intended.content["text"]))
        if self.answers:
            raise self.answers.pop(0)
        return Existing(intended.external_id, None, {**intended.data, "sent": True}, final=True)

    update = delete = find = create


class Letters(Reconciler[str]):
    """One letter for each desired text; one in doubt whose text is not desired any more is given up."""

    kind = "letter"

    def __init__(self, post: Post) -> None:
        self.post = post

    def adapter(self, provider: str) -> Any:
        assert provider == "post"
        return self.post

    def read(self, state: DesiredState) -> str:
        text: str = state.desired["text"]
        return text

    def plan(
        self, desired: str, observed: ObservedState, *, lost_calls: LostCalls, now: datetime
    ) -> Step:
        assert lost_calls == "uncertain"
        for lost in observed.objects:
            if lost.state == "intended" and lost.data["about"] != desired:
                return GiveUp(lost, "outdated", followed=True)
            if lost.state == "intended":
                return repeat_once(lost)
        known = [each for each in observed.objects if each.data["about"] == desired]
        if known and {"sent", "uncertain", "rejected"} & set(known[-1].data):
            return InSync()
        number = known[-1].generation if known else observed.next_generation
        return Create(number, {"text": f"{desired} at {now}"}, {"about": desired})


@dataclass
class World:
    database: Database
    post: Post = field(default_factory=Post)

    @property
    def worker(self) -> Worker:
        unused: Any = None
        runtime = Runtime("letters", unused, self.database, Clock(), unused, unused, unused)
        return Worker(self.database, {"letter": partial(attempt, runtime, Letters(self.post))})

    async def desire(self, text: str, sequence: int = 1) -> None:
        state = DesiredState(
            ACCOUNT,
            "letter",
            SUBJECT,
            "post",
            "ada",
            datetime(2027, 3, 1, tzinfo=UTC),
            {"text": text},
            sequence,
        )
        async with self.database.transaction() as db:
            await desire(db, state)

    async def attempt(self, *, after: timedelta = timedelta()) -> Row:
        """Let time pass, make one attempt; the row of the desired state."""
        await self.database.execute("UPDATE external SET at = at - $1::interval", after)
        await self.database.execute("UPDATE work SET status = 'due' WHERE status = 'waiting'")
        assert await self.worker.once()
        found = await self.database.fetchrow("SELECT * FROM work")
        assert found is not None
        return found

    async def letter(self) -> Row:
        found = await self.database.fetchrow("SELECT * FROM external ORDER BY generation")
        assert found is not None
        return found


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def test_a_lost_letter_is_repeated_once_and_equal(world: World) -> None:
    """Not before its wait is over, with the words of the first time; nobody else has to wait."""
    world.post.answers = [OutcomeUnknown("no response")]
    await world.desire("hello")
    work = await world.attempt()
    assert (work["status"], work["last_error"]) == ("waiting", "no response")
    assert await world.database.fetchval("SELECT count(*) FROM circuit") == 0
    assert (await world.attempt())["status"] == "waiting"
    assert len(world.post.received) == 1

    assert (await world.attempt(after=OVER))["status"] == "done"
    first, second = world.post.received
    assert first == second
    letter = await world.letter()
    assert (letter["state"], letter["content"], letter["data"]) == ("gone", None, SENT)


async def test_the_second_loss_is_the_last(world: World) -> None:
    """Also if the process dies in the second call: what was stored before it says so."""
    world.post.answers = [OutcomeUnknown("first"), OutcomeUnknown("second")]
    await world.desire("hello")
    await world.attempt()
    work = await world.attempt(after=OVER)
    assert (work["status"], work["last_error"]) == ("failed", "second")
    letter = await world.letter()
    assert (letter["state"], letter["content"], letter["looked_up"]) == ("gone", None, True)
    assert letter["data"] == {"about": "hello", "uncertain": "second"}
    assert len(world.post.received) == 2


async def test_a_process_that_dies_in_the_repeat(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored before the call says that it was the last."""
    world.post.answers = [OutcomeUnknown("first"), OutcomeUnknown("never known")]
    await world.desire("hello")
    await world.attempt()
    with monkeypatch.context() as patch:
        patch.setattr(claims, "finish", _die)
        await world.database.execute("UPDATE external SET at = at - $1::interval", OVER)
        await world.database.execute("UPDATE work SET status = 'due'")
        await world.worker.once()
    await world.database.execute("UPDATE work SET lease_until = clock_timestamp()")
    assert (await world.attempt(after=OVER))["status"] == "failed"
    assert len(world.post.received) == 2


async def _die(*_: object, **__: object) -> None:
    raise LeaseLost


async def test_a_repeat_that_is_not_accepted_is_still_owed(world: World) -> None:
    """It certainly had no effect: the first one is as doubtful as before."""
    world.post.answers = [OutcomeUnknown("first"), CallPostponed("busy"), OutcomeUnknown("third")]
    await world.desire("hello")
    await world.attempt()
    assert (await world.attempt(after=OVER))["status"] == "waiting"
    assert (await world.letter())["looked_up"] is False
    assert (await world.attempt(after=OVER))["last_error"] == "third"
    assert len(set(world.post.received)) == 1


async def test_what_is_outdated_is_not_repeated(world: World) -> None:
    """It is given up at once, and what is desired now follows."""
    world.post.answers = [OutcomeUnknown("no response")]
    await world.desire("hello")
    await world.attempt()
    await world.desire("goodbye", 2)
    assert (await world.attempt())["last_error"] == "outdated"
    assert (await world.attempt())["status"] == "done"
    assert [text.partition(" ")[0] for _, text in world.post.received] == ["hello", "goodbye"]


async def test_a_refusal_for_good_is_kept_and_one_for_now_is_not(world: World) -> None:
    world.post.answers = [CallPostponed("busy"), RequestRejected("too long")]
    await world.desire("hello")
    work = await world.attempt()
    assert (work["status"], (await world.letter())["data"]) == ("waiting", {"about": "hello"})
    assert (await world.attempt())["status"] == "failed"
    letter = await world.letter()
    assert letter["data"] == {"about": "hello", "rejected": "too long"}
    assert (letter["generation"], letter["content"]) == (1, None)


LATE: list[Callable[[ExternalObject], ExternalObject]] = [
    lambda letter: replace(letter, state="gone", data={"sent": "late"}),
    lambda letter: replace(letter, state="gone", data={}),
]


@pytest.mark.parametrize("late", LATE)
async def test_a_late_word_changes_nothing_that_has_ended(
    world: World, late: Callable[[ExternalObject], ExternalObject]
) -> None:
    """A worker that was frozen beyond its lease says what came of the first call, after the repeat."""
    world.post.answers = [OutcomeUnknown("no response")]
    await world.desire("hello")
    await world.attempt()
    await world.database.execute("UPDATE work SET status = 'due'")
    frozen: Claimed = (await claim_due(world.database, ["letter"], 1, Position())).claimed[0]
    await world.database.execute("UPDATE work SET lease_until = clock_timestamp()")
    await world.attempt(after=OVER)

    outcome = Done(objects=[late(frozen.observed.objects[0])])
    [finished] = await claims.finish(world.database, [Finish(frozen, outcome)], patient=True)
    assert isinstance(finished, LeaseLost)
    assert (await world.letter())["data"] == SENT
    assert (await world.attempt())["status"] == "done"
    assert len(world.post.received) == 2
