"""Writes appointments into Google: one attempt takes steps until Google agrees with the desired state."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hoop_platform.db.database import LeaseLost, Tx
from hoop_platform.failpoints import fp
from hoop_platform.providers.errors import (
    IdTaken,
    NotConnected,
    ObjectNotFound,
    OutcomePending,
    OutcomeUnknown,
    ProviderDown,
    ProviderError,
    VersionConflict,
)
from hoop_platform.reconcile.desired_state import Claimed, Done, Later, Outcome
from hoop_platform.runtime import Runtime
from sync_google.config import Settings
from sync_google.domain.identifiers import event_id, split_subject
from sync_google.domain.plan import (
    SETTLE,
    CreateEvent,
    DeleteEvent,
    EventDraft,
    ExternalObject,
    InSync,
    UpdateEvent,
    next_step,
)
from sync_google.jobs.authorized_calls import AuthorizedCalls
from sync_google.jobs.push_outcome import outcome_of
from sync_google.providers.google.parsing import (
    APPOINTMENT_MARK,
    CONNECTION_MARK,
    GENERATION_MARK,
    GoogleEvent,
)
from sync_google.store import connections, external_objects

MAX_STEPS = 12
PATIENT_ATTEMPTS = 7
"""With the growing waits between the attempts, about half a minute."""
Record = Callable[[Tx], Awaitable[None]]


async def push_event(runtime: Runtime[Settings], claimed: Claimed) -> Outcome:
    """Try to bring the Google event of an appointment into its desired state."""
    stored = claimed.desired_state.desired["draft"]
    draft = EventDraft.from_json(stored) if stored else None
    return await PushAttempt(runtime, claimed, draft).run()


@dataclass(frozen=True)
class PushAttempt:
    """One attempt. `desired` is the draft that the event should have; None: no event."""

    runtime: Runtime[Settings]
    claimed: Claimed
    desired: EventDraft | None

    @property
    def appointment_id(self) -> str:
        return split_subject(self.claimed.desired_state.subject)[0]

    @property
    def connection_id(self) -> str:
        return split_subject(self.claimed.desired_state.subject)[1]

    async def run(self) -> Outcome:
        """Take steps until none is left, or until a call fails."""
        try:
            for _ in range(MAX_STEPS):
                if (outcome := await self._take_step()) is not None:
                    return outcome
        except LeaseLost as error:
            return Later(str(error))
        except (ProviderError, NotConnected, ProviderDown) as error:
            return await outcome_of(self.runtime, self.claimed, error)
        return Later("the event changes faster than it can be written")

    async def _take_step(self) -> Outcome | None:
        """Take the next step; the outcome when there is none."""
        account_id, db = self.claimed.desired_state.account_id, self.runtime.db
        target = await connections.get_push_target(db, account_id, self.connection_id)
        if target.status == "disconnected" or target.remote_calendar is None:
            return Done()  # Google is never called again: the events there stay
        if target.status != "active":
            raise NotConnected(self.connection_id)
        subject = self.claimed.desired_state.subject
        observed = await external_objects.list_external_objects(db, account_id, subject)
        match next_step(self.desired, observed, remote_calendar=target.remote_calendar):
            case InSync():
                return Done()
            case CreateEvent(intended):
                await self._create(intended, target.remote_calendar)
            case UpdateEvent(event):
                await self._update(event)
            case DeleteEvent(event):
                await self._delete(event)
        return None

    async def _create(self, intended: ExternalObject | None, calendar: str) -> None:
        """Create the event. An earlier intent is tried again under its id: Google refuses a second one."""
        assert self.desired is not None
        draft = self.desired
        generation = await self._store_intent(intended, calendar)
        await fp("google_intended")
        name = event_id(self.appointment_id, generation)
        try:
            event = await self._google.call(
                lambda api, token: api.insert_event(
                    token, calendar, name, draft, self._marks(generation)
                )
            )
        except IdTaken:
            await self._adopt(generation, calendar)
            return
        await fp("google_inserted")
        await self._record(generation, self._live(generation, event.etag, draft))

    async def _store_intent(self, intended: ExternalObject | None, calendar: str) -> int:
        """Store which event is about to be created, under our lease; returns its generation."""
        desired_state = self.claimed.desired_state
        async with self.runtime.db.transaction() as db:
            await self._check_lease(db)
            generation = (
                intended.generation
                if intended
                else await external_objects.get_next_generation(
                    db, desired_state.account_id, desired_state.subject, remote_calendar=calendar
                )
            )
            await external_objects.upsert_intent(
                db,
                self.claimed,
                generation=generation,
                connection_id=self.connection_id,
                remote_calendar=calendar,
                event_id=event_id(self.appointment_id, generation),
            )
        return generation

    async def _adopt(self, generation: int, calendar: str) -> None:
        """Record the event that has our id: created by an earlier call of ours, or deleted since."""
        name = event_id(self.appointment_id, generation)
        try:
            found = await self._get_event(calendar, name)
        except ObjectNotFound:
            self._check_patience()
            await self._record(generation, self._gone(generation))
            return
        if found.cancelled or found.marks.get(APPOINTMENT_MARK) != self.appointment_id:
            await self._record(generation, self._gone(generation))
            return
        same = self.desired is not None and found.matches(self.desired)
        await self._record(
            generation, self._live(generation, found.etag, self.desired if same else None)
        )

    async def _update(self, event: ExternalObject) -> None:
        """Write the draft into the event. If somebody has changed it, the next step writes again."""
        assert self.desired is not None
        draft, etag = self.desired, event.etag
        if etag is None:
            await self._adopt(event.generation, event.remote_calendar)
            return
        await self._ensure_lease()
        try:
            written = await self._google.call(
                lambda api, token: api.patch_event(
                    token,
                    event.remote_calendar,
                    event.event_id,
                    draft,
                    self._marks(event.generation),
                    etag=etag,
                )
            )
        except (VersionConflict, ObjectNotFound):
            await self._adopt(event.generation, event.remote_calendar)
            return
        await fp("google_patched")
        await self._record(event.generation, self._live(event.generation, written.etag, draft))

    async def _delete(self, event: ExternalObject) -> None:
        """Delete the event; an event that does not exist counts as deleted."""
        etag = event.etag if event.state == "live" else None
        for _ in range(3):
            etag = etag or await self._current_etag(event)
            if etag is None or await self._delete_version(event, etag):
                await self._record(event.generation, self._gone(event.generation))
                return
            etag = None

    async def _delete_version(self, event: ExternalObject, etag: str) -> bool:
        """Delete the event if it still has this etag; False when somebody has changed it since."""
        await self._ensure_lease()
        try:
            await self._google.call(
                lambda api, token: api.delete_event(
                    token, event.remote_calendar, event.event_id, etag=etag
                )
            )
        except ObjectNotFound:
            return True
        except VersionConflict:
            return False
        await fp("google_deleted")
        return True

    async def _current_etag(self, event: ExternalObject) -> str | None:
        """The event's present etag; None when the event certainly does not exist."""
        try:
            found = await self._get_event(event.remote_calendar, event.event_id)
        except ObjectNotFound:
            if event.state == "live":
                self._check_patience()
            elif event.age < SETTLE:
                text = "a call without a response may still have its effect"
                raise OutcomePending(text, SETTLE - event.age) from None
            return None
        return None if found.cancelled else found.etag

    def _check_patience(self) -> None:
        """Google says that an event exists, but does not return it: wait until it is consistent."""
        if self.claimed.attempts < PATIENT_ATTEMPTS:
            raise OutcomeUnknown("google contradicts itself about an event")

    async def _get_event(self, calendar: str, name: str) -> GoogleEvent:
        return await self._google.call(lambda api, token: api.get_event(token, calendar, name))

    @property
    def _google(self) -> AuthorizedCalls:
        account_id = self.claimed.desired_state.account_id
        return AuthorizedCalls(self.runtime, account_id, self.connection_id)

    def _marks(self, generation: int) -> dict[str, str]:
        """The properties by which we recognise our events."""
        return {
            APPOINTMENT_MARK: self.appointment_id,
            GENERATION_MARK: str(generation),
            CONNECTION_MARK: self.connection_id,
        }

    def _live(self, generation: int, etag: str, draft: EventDraft | None) -> Record:
        return lambda db: external_objects.update_live(
            db, self.claimed, generation, etag=etag, draft=draft
        )

    def _gone(self, generation: int) -> Record:
        return lambda db: external_objects.update_gone(db, self.claimed, generation)

    async def _record(self, generation: int, record: Record) -> None:
        """Store the effect of a call; without the lease, have the next attempt look the event up."""
        async with self.runtime.db.transaction() as db:
            if await external_objects.lock_lease(db, self.claimed):
                await record(db)
            else:
                await external_objects.update_requeued(db, self.claimed, generation)

    async def _ensure_lease(self) -> None:
        async with self.runtime.db.transaction() as db:
            await self._check_lease(db)

    async def _check_lease(self, db: Tx) -> None:
        """Lock the lease. Raise `LeaseLost` if our lease has run out: the desired state may have changed meanwhile."""
        if not await external_objects.lock_lease(db, self.claimed):
            raise LeaseLost("the lease has run out")
