"""One attempt at making Google show an appointment as wished: step by step, until there is none left."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from hoop_platform.db.database import Tx
from hoop_platform.failpoints import fp
from hoop_platform.providers.errors import NotConnected, ProviderDown
from hoop_platform.reconcile.desired_state import Claimed, Done, Failed, Later, Outcome
from hoop_platform.runtime import Runtime
from sync_google import handlers, store
from sync_google.domain import (
    SETTLE,
    Change,
    Changed,
    Draft,
    Insert,
    Made,
    Missing,
    NoAnswer,
    QuotaSpent,
    Rejected,
    Remove,
    Rest,
    Step,
    Taken,
    TooMany,
    Trouble,
    event_id,
    next_step,
    parts_of,
)
from sync_google.google import APPOINTMENT, CONNECTION, GENERATION, Event
from sync_google.jobs.access import Access

MOST_STEPS = 12
PATIENT_ATTEMPTS = 7
"""With the growing waits between them, half a minute."""
PARKED = timedelta(hours=1)
Known = Trouble | NotConnected | ProviderDown
Record = Callable[[Tx], Awaitable[None]]


class Superseded(Trouble):
    """The wish is not ours any more: whoever holds it now goes on."""


class Unsettled(Trouble):
    """A call whose answer was lost may still come true."""


async def push_event(runtime: Runtime, mine: Claimed) -> Outcome:
    """Try to make Google as the wish says."""
    said = mine.desired_state.desired["draft"]
    return await Attempt(runtime, mine, Draft.from_json(said) if said else None).run()


@dataclass(frozen=True)
class Attempt:
    runtime: Runtime
    mine: Claimed
    wanted: Draft | None

    @property
    def appointment_id(self) -> str:
        return parts_of(self.mine.desired_state.subject)[0]

    @property
    def connection_id(self) -> str:
        return parts_of(self.mine.desired_state.subject)[1]

    async def run(self) -> Outcome:
        """Take steps until there is none left, or one that only time can help."""
        try:
            for _ in range(MOST_STEPS):
                if (outcome := await self._go_on()) is not None:
                    return outcome
        except (Trouble, NotConnected, ProviderDown) as trouble:
            return await self._outcome(trouble)
        return Later("it changes faster than we write")

    async def _go_on(self) -> Outcome | None:
        """Take the next step; the outcome when there is none."""
        account_id, db = self.mine.desired_state.account_id, self.runtime.db
        place = await store.place_of(db, account_id, self.connection_id)
        if place.status == "disconnected" or place.remote_calendar is None:
            return Done()  # no call ever again: what is there stays
        if place.status != "active":
            raise NotConnected(self.connection_id)
        made = await store.made_for(db, account_id, self.mine.desired_state.subject)
        step = next_step(self.wanted, made, remote_calendar=place.remote_calendar)
        if isinstance(step, Rest):
            return Done()
        await self._take(step, place.remote_calendar)
        return None

    async def _take(self, step: Step, calendar: str) -> None:
        if isinstance(step, Remove):
            await self._remove(step.made)
        elif isinstance(step, Change):
            await self._change(step.made)
        elif isinstance(step, Insert):
            await self._insert(step.again, calendar)

    async def _insert(self, again: Made | None, calendar: str) -> None:
        """Make it. If the answer is lost, the same id is tried again: Google refuses a second."""
        assert self.wanted is not None
        wanted = self.wanted
        generation = await self._intend(again, calendar)
        await fp("google_intended")
        name = event_id(self.appointment_id, generation)
        try:
            made = await self._ask(
                lambda google, token: google.insert(
                    token, calendar, name, wanted, self._marks(generation)
                )
            )
        except Taken:
            await self._adopt(generation, calendar)
            return
        await fp("google_made")
        await self._record(generation, self._live(generation, made.etag, wanted))

    async def _intend(self, again: Made | None, calendar: str) -> int:
        """Write down what is about to be made, as long as the wish is ours; answers its generation."""
        wish = self.mine.desired_state
        async with self.runtime.db.transaction() as db:
            await self._check_hold(db)
            generation = (
                again.generation
                if again
                else await store.next_generation(
                    db, wish.account_id, wish.subject, remote_calendar=calendar
                )
            )
            await store.intend(
                db,
                self.mine,
                generation=generation,
                connection_id=self.connection_id,
                remote_calendar=calendar,
                event_id=event_id(self.appointment_id, generation),
            )
        return generation

    async def _adopt(self, generation: int, calendar: str) -> None:
        """The id is taken: by our own call, whose answer was lost, or by an event that was deleted."""
        name = event_id(self.appointment_id, generation)
        try:
            found = await self._find(calendar, name)
        except Missing:
            self._check_patience()
            await self._record(generation, self._gone(generation))
            return
        if found.cancelled or found.marks.get(APPOINTMENT) != self.appointment_id:
            await self._record(generation, self._gone(generation))
            return
        same = self.wanted is not None and found.says(self.wanted)
        await self._record(
            generation, self._live(generation, found.etag, self.wanted if same else None)
        )

    async def _change(self, made: Made) -> None:
        """Write it anew. Changed by somebody meanwhile: read it again and write it all the same."""
        assert self.wanted is not None
        wanted, etag = self.wanted, made.etag
        if etag is None:
            await self._adopt(made.generation, made.remote_calendar)
            return
        await self._guard()
        try:
            written = await self._ask(
                lambda google, token: google.change(
                    token,
                    made.remote_calendar,
                    made.event_id,
                    wanted,
                    self._marks(made.generation),
                    etag=etag,
                )
            )
        except (Changed, Missing):
            await self._adopt(made.generation, made.remote_calendar)
            return
        await fp("google_changed")
        await self._record(made.generation, self._live(made.generation, written.etag, wanted))

    async def _remove(self, made: Made) -> None:
        """Delete it; that it is not there is what we want."""
        etag = made.etag if made.state == "live" else None
        for _ in range(3):
            etag = etag or await self._etag(made)
            if etag is None or await self._removed(made, etag):
                await self._record(made.generation, self._gone(made.generation))
                return
            etag = None

    async def _removed(self, made: Made, etag: str) -> bool:
        """Delete it as it was known; False when somebody has changed it since."""
        await self._guard()
        try:
            await self._ask(
                lambda google, token: google.remove(
                    token, made.remote_calendar, made.event_id, etag=etag
                )
            )
        except Missing:
            return True
        except Changed:
            return False
        await fp("google_removed")
        return True

    async def _etag(self, made: Made) -> str | None:
        """How the event is now; None when it is gone for good."""
        try:
            found = await self._find(made.remote_calendar, made.event_id)
        except Missing:
            if made.state == "live":
                self._check_patience()
            elif made.age < SETTLE:
                raise Unsettled("a lost call may still come true", SETTLE - made.age) from None
            return None
        return None if found.cancelled else found.etag

    def _check_patience(self) -> None:
        """Google says that it exists, and does not show it: some time it knows which is true."""
        if self.mine.attempts < PATIENT_ATTEMPTS:
            raise NoAnswer("google contradicts itself about an event")

    async def _find(self, calendar: str, name: str) -> Event:
        return await self._ask(lambda google, token: google.find(token, calendar, name))

    @property
    def _ask(self) -> Access:
        return Access(self.runtime, self.mine.desired_state.account_id, self.connection_id)

    def _marks(self, generation: int) -> dict[str, str]:
        """How we know our events again."""
        return {
            APPOINTMENT: self.appointment_id,
            GENERATION: str(generation),
            CONNECTION: self.connection_id,
        }

    def _live(self, generation: int, etag: str, draft: Draft | None) -> Record:
        return lambda db: store.record_live(db, self.mine, generation, etag=etag, draft=draft)

    def _gone(self, generation: int) -> Record:
        return lambda db: store.record_gone(db, self.mine, generation)

    async def _record(self, generation: int, record: Record) -> None:
        """What was done is done; if the wish is somebody else's by now, he has to look."""
        async with self.runtime.db.transaction() as db:
            if await store.holds(db, self.mine):
                await record(db)
            else:
                await store.look_again(db, self.mine, generation)

    async def _guard(self) -> None:
        async with self.runtime.db.transaction() as db:
            await self._check_hold(db)

    async def _check_hold(self, db: Tx) -> None:
        """Who was frozen and wakes up must not write what is no longer wished."""
        if not await store.holds(db, self.mine):
            raise Superseded("the lease has run out")

    async def _outcome(self, trouble: Known) -> Outcome:
        """What a trouble means for the wish: patience, or the end."""
        if isinstance(trouble, Rejected):
            return Failed(str(trouble), self._say_failed(str(trouble)))
        wait, at = _wait(trouble), None
        if wait is not None:
            at = await store.database_time(self.runtime.db) + wait
        return Later(
            _text(trouble), at=at, opens_circuit=isinstance(trouble, (TooMany, QuotaSpent))
        )

    def _say_failed(self, reason: str) -> Record:
        wish, now = self.mine.desired_state, self.runtime.clock.now()
        return lambda db: handlers.say_failed(
            db, wish.account_id, wish.subject, reason=reason, now=now
        )


def _wait(trouble: Known) -> timedelta | None:
    """A wait of the provider's own choosing; None: growing waits."""
    if isinstance(trouble, (NotConnected, QuotaSpent)):
        return PARKED
    return trouble.retry_after if isinstance(trouble, ProviderDown) else trouble.wait


def _text(trouble: Known) -> str:
    return "not connected" if isinstance(trouble, NotConnected) else str(trouble)
