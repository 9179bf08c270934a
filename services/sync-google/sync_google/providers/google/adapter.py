"""The Google adapter: one event of ours in a Google calendar, created, written and deleted under its id."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from hoop_platform.providers.errors import (
    CallRefused,
    IdTaken,
    ObjectNotFound,
    OutcomePending,
    QuotaExceeded,
    RateLimited,
    RequestRejected,
    VersionConflict,
)
from hoop_platform.reconcile.observed_state import SETTLE_TIME, ExternalObject
from hoop_platform.reconcile.plan import LostCalls
from hoop_platform.reconcile.reconciler import CallContext, Existing
from hoop_platform.runtime import Runtime
from sync_google.config import Settings
from sync_google.domain.identifiers import event_id, split_subject
from sync_google.domain.plan import DesiredEvent, EventDraft
from sync_google.providers.google.calendar_api import CalendarApi
from sync_google.providers.google.oauth import oauth_provider
from sync_google.providers.google.parsing import (
    APPOINTMENT_MARK,
    CONNECTION_MARK,
    GENERATION_MARK,
    GoogleEvent,
)

PATIENT_ATTEMPTS = 7
"""With the growing waits between the attempts, about half a minute."""
QUOTA_WAIT = timedelta(hours=1)
DELETE_TRIES = 3


class GoogleAdapter:
    """The events of one Google user's primary calendar. Implements `Adapter`.

    `data` of an object: `calendar`, the Google calendar that it is in; `etag`, its version there as
    far as known; `drift`, noted by a pull that found it changed or deleted by somebody else.
    """

    lost_calls: LostCalls = "repeated"
    daily_limit = None

    def __init__(self, runtime: Runtime[Settings]) -> None:
        self.oauth = oauth_provider(runtime.settings)
        self._api = CalendarApi(runtime.http, runtime.settings)

    def intent(self, call: CallContext, generation: int, /) -> ExternalObject:
        """Known before the call: the id, which Google accepts once, and the calendar."""
        return ExternalObject(
            generation,
            "intended",
            external_id=event_id(
                call.subject, generation, has_first_id=call.desired.get("has_first_id", False)
            ),
            data={"calendar": call.provider_user},
        )

    async def create(
        self, call: CallContext, desired: DesiredEvent, intended: ExternalObject
    ) -> Existing:
        """Create the event; one that an earlier call has created under this id is adopted."""
        try:
            with _hourly_at_most():
                event = await self._api.insert_event(
                    call.token,
                    _calendar(intended),
                    str(intended.external_id),
                    _draft(desired),
                    _marks(call.subject, intended.generation),
                )
        except IdTaken:
            return await self._read(call, desired, intended)
        return _existing(intended, event, desired, written=True)

    async def update(
        self, call: CallContext, desired: DesiredEvent, external: ExternalObject
    ) -> Existing:
        """Write the draft. An event that was changed meanwhile is read, and written in the next step."""
        etag = external.data.get("etag")
        if etag is None:
            return await self._read(call, desired, external)
        try:
            with _hourly_at_most():
                event = await self._api.patch_event(
                    call.token,
                    _calendar(external),
                    str(external.external_id),
                    _draft(desired),
                    _marks(call.subject, external.generation),
                    etag=etag,
                )
        except (VersionConflict, ObjectNotFound):
            return await self._read(call, desired, external)
        return _existing(external, event, desired, written=True)

    async def delete(self, call: CallContext, external: ExternalObject) -> None:
        """Delete the event, in the version that it has now."""
        etag = external.data.get("etag")
        for _ in range(DELETE_TRIES):
            etag = etag or await self._present_etag(call, external)
            try:
                with _hourly_at_most():
                    await self._api.delete_event(
                        call.token, _calendar(external), str(external.external_id), etag=etag
                    )
            except VersionConflict:
                etag = None
            except RequestRejected as error:
                raise CallRefused(str(error)) from error  # to wait does not help: it is announced
            else:
                return
        raise OutcomePending("the event changes faster than it can be deleted")

    async def find(self, call: CallContext) -> list[Existing]:
        """Never called: a lost create is repeated."""
        raise NotImplementedError

    async def _read(
        self, call: CallContext, desired: DesiredEvent, external: ExternalObject
    ) -> Existing:
        """The event as it is. Raises `ObjectNotFound` when it was deleted, or is not ours."""
        try:
            event = await self._get(call, external)
        except ObjectNotFound as error:
            _check_patience(call, error)
            raise
        appointment_id, _ = split_subject(call.subject)
        if event.cancelled or event.marks.get(APPOINTMENT_MARK) != appointment_id:
            raise ObjectNotFound("deleted, or not ours")
        return _existing(external, event, desired, written=event.matches(_draft(desired)))

    async def _present_etag(self, call: CallContext, external: ExternalObject) -> str:
        """The event's present etag. Raises `ObjectNotFound` when it certainly does not exist."""
        try:
            event = await self._get(call, external)
        except ObjectNotFound as error:
            if external.state != "intended":
                _check_patience(call, error)
            elif not external.settled:
                text = "a call without a response may still have its effect"
                raise OutcomePending(text, SETTLE_TIME - external.age) from error
            raise
        if event.cancelled:
            raise ObjectNotFound("deleted")
        return event.etag

    async def _get(self, call: CallContext, external: ExternalObject) -> GoogleEvent:
        return await self._api.get_event(call.token, _calendar(external), str(external.external_id))


@contextmanager
def _hourly_at_most() -> Iterator[None]:
    """Of all writes of a Google user whose quota is exceeded, one is tried in an hour."""
    try:
        yield
    except QuotaExceeded as error:
        raise RateLimited(str(error), QUOTA_WAIT) from error


def _check_patience(call: CallContext, error: ObjectNotFound) -> None:
    """Google says that an event exists, but does not return it: wait until it is consistent."""
    if call.attempts < PATIENT_ATTEMPTS:
        raise OutcomePending("google contradicts itself about an event") from error


def _existing(
    external: ExternalObject, event: GoogleEvent, desired: DesiredEvent, *, written: bool
) -> Existing:
    """The event with its present etag. `written`: whether it says what is desired."""
    return Existing(
        external_id=str(external.external_id),
        content=desired.content if written else None,
        data={"calendar": _calendar(external), "etag": event.etag},
    )


def _draft(desired: DesiredEvent) -> EventDraft:
    assert desired.draft is not None  # else the plan neither creates nor updates
    return desired.draft


def _calendar(external: ExternalObject) -> str:
    calendar: str = external.data["calendar"]
    return calendar


def _marks(subject: str, generation: int) -> dict[str, str]:
    """The properties by which we recognise our events."""
    appointment_id, connection_id = split_subject(subject)
    return {
        APPOINTMENT_MARK: appointment_id,
        GENERATION_MARK: str(generation),
        CONNECTION_MARK: connection_id,
    }
