"""One attempt at making a provider agree with a wish: step by step, then what came of it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from hoop_platform.db.database import Tx
from hoop_platform.providers.errors import NotConnected, ProviderDown
from hoop_platform.reconcile.desired_state import Claimed, Done, Failed, Later, Outcome
from hoop_platform.runtime import Runtime
from meetings import handlers, store
from meetings.domain import (
    Create,
    Drop,
    Edit,
    LookLater,
    LookUp,
    NoAccess,
    NotReached,
    Place,
    ProviderTrouble,
    Refusal,
    Rest,
    Step,
    TooMany,
    Trouble,
    Wanted,
    World,
    failed,
    midnight_after,
    next_step,
    pending,
    release_after,
    shown,
)
from meetings.jobs.calls import Calls, NotNow, Spent, Superseded

WORKING_SECONDS = 25.0
"""After these no call is begun: the last one may take 10 s, and a wish is worked on for 40 at most."""
WORTH_SAYING = timedelta(minutes=1)


class Unverifiable(Refusal):
    """The provider makes meetings whose links lead elsewhere; one such was enough."""


Record = Callable[[Tx], Awaitable[None]]


async def fulfil(runtime: Runtime, mine: Claimed) -> Outcome:
    """Try to make the world as the wish says."""
    until = asyncio.get_running_loop().time() + WORKING_SECONDS
    place = Place.of(mine.desired_state.account_id, mine.desired_state.subject)
    wanted = Wanted.from_json(mine.desired_state.desired)
    return await Attempt(runtime, mine, place, wanted, until).run()


@dataclass
class Attempt:
    runtime: Runtime
    mine: Claimed
    place: Place
    wanted: Wanted
    until: float
    created: bool = False

    async def run(self) -> Outcome:
        """Take steps until there is none left, or one that only time can help."""
        while True:
            world = await self._world()
            if (
                handlers.provider_user(self.wanted, world.access)
                != self.mine.desired_state.provider_user
            ):
                return await self._wish_anew()
            step = next_step(self.wanted, world, now=self.runtime.clock.now())
            try:
                if (outcome := await self._take(step, world)) is not None:
                    return outcome
            except NotConnected:
                continue  # the connection was ended or lost: its row says so by now
            except (ProviderTrouble, ProviderDown) as trouble:
                return await self._outcome(trouble)

    async def _world(self) -> World:
        db, at = self.runtime.db, self.place
        access = await store.access(db, at.account_id, at.provider, self.wanted.host)
        return World(access, await store.made_at(db, at))

    async def _wish_anew(self) -> Outcome:
        """The host was connected, or not any more, since this was wished: others must wait for it."""
        async with self.runtime.db.transaction() as db:
            await store.lock(db, [self.place], shared=False)
            again = await handlers.rewish(db, self.place)
        return Done() if again else Later("the connection is changing")

    async def _take(self, step: Step, world: World) -> Outcome | None:
        """Take a step; None when there is another to be taken."""
        if isinstance(step, Rest):
            return Done(self._showing(world))
        if isinstance(step, NoAccess) or world.access is None:
            return Failed("not connected", self._showing(world))
        if isinstance(step, LookLater):
            at = await self._database_time(step.wait)
            return Later("a lost call may still come true", at=at, record=self._showing(world))
        calls = Calls(
            self.runtime,
            self.mine,
            self.place,
            self.wanted,
            world.access.connection_id,
            self.until,
        )
        await self._call(calls, step, world)
        return None

    async def _call(self, calls: Calls, step: Step, world: World) -> None:
        if isinstance(step, LookUp):
            await calls.look_up([made for made in world.ours if made.state == "intended"])
        elif isinstance(step, Drop):
            await calls.drop(step.made)
        elif isinstance(step, Edit):
            await calls.edit(step.made)
        elif isinstance(step, Create):
            if self.created:
                raise Unverifiable("what was made had no link that leads to the provider")
            self.created = True
            await calls.create(step.generation)

    async def _outcome(self, trouble: Exception) -> Outcome:
        """What a trouble means for the wish: nothing, patience, or the end."""
        world = await self._world()
        if isinstance(trouble, Superseded):
            return Done()
        if isinstance(trouble, NotNow):
            at = await self._database_time(trouble.wait)
            return Later(str(trouble), at=at, record=self._showing(world))
        if isinstance(trouble, Spent) or (isinstance(trouble, TooMany) and trouble.daily):
            return await self._tomorrow(trouble, world)
        if isinstance(trouble, TooMany):
            return await self._when_told(trouble, world)
        if isinstance(trouble, Refusal) and not isinstance(trouble, NotReached):
            reason = "unverifiable_link" if isinstance(trouble, Unverifiable) else "rejected"
            return Failed(str(trouble), self._showing(world, failed(self.place.provider, reason)))
        down = pending(self.place.provider, "provider_down")
        return Later(str(trouble), opens_circuit=True, record=self._showing(world, down))

    async def _tomorrow(self, trouble: Exception, world: World) -> Outcome:
        """The day's calls are used up; each wish is parked by itself, so that it can say so."""
        now, who = self.runtime.clock.now(), self.mine.desired_state
        if isinstance(trouble, TooMany):
            async with self.runtime.db.transaction() as db:
                await store.close_day(
                    db, who.account_id, who.provider, who.provider_user, day=now.date()
                )
        quota = pending(who.provider, "daily_quota", expected_at=midnight_after(now))
        return Later(
            f"daily_quota: {trouble}",
            at=await self._database_time(release_after(now, who.provider_user) - now),
            record=self._showing(world, quota),
        )

    async def _when_told(self, trouble: TooMany, world: World) -> Outcome:
        """A limit per second, or another of the account's: nothing else of this user is tried."""
        if not trouble.wait:
            return Later(str(trouble), opens_circuit=True)
        at, record = await self._database_time(trouble.wait), None
        if trouble.wait >= WORTH_SAYING:
            then = self.runtime.clock.now() + trouble.wait
            busy = pending(self.place.provider, "provider_busy", expected_at=then)
            record = self._showing(world, busy)
        return Later(str(trouble), at=at, opens_circuit=True, record=record)

    def _showing(self, world: World, trouble: Trouble | None = None) -> Record:
        """Announces, with the outcome, how the session's link is now."""
        now = self.runtime.clock.now()
        meeting = shown(self.place.provider, self.wanted, world, now=now, trouble=trouble)

        async def record(db: Tx) -> None:
            await handlers.show(db, self.place, meeting, now=now)

        return record

    async def _database_time(self, wait: timedelta) -> datetime:
        """So long from now, by the clock that attempts go by; business time may be elsewhere."""
        return await store.database_time(self.runtime.db) + wait
