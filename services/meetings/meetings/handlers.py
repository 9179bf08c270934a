"""What an event, a changed connection or a finished attempt does, each in one transaction."""

from datetime import datetime
from typing import Any

from hoop_events import booking as booking_events
from hoop_events.accounts import UserChanged, UserDeleted
from hoop_events.booking import AppointmentEvent
from hoop_events.effects import MeetingLink, MeetingLinkChanged
from hoop_platform.db.database import Tx
from hoop_platform.outbox.announce import announce
from hoop_platform.providers.provider_accounts import ProviderAccount as Connected
from hoop_platform.providers.provider_accounts import list_provider_accounts, lock_provider_account
from hoop_platform.providers.status import disconnect, set_status
from hoop_platform.reconcile.desired_state import DesiredState, desire
from meetings import store
from meetings.domain import Access, Place, Seat, Wanted, fold, seat_of

MEETING = "meeting"
CONNECTION = "connection"


async def take_seat(db: Tx, event: AppointmentEvent, _: datetime) -> None:
    """Note where the appointment sits now, and wish anew for the session it left and the one it has.

    Harmless when the event is old or came before. Deleted, cancelled: the seat no longer counts.
    """
    now_at = seat_of(event.account_id, event.state)
    was_at = await store.seat(db, now_at.account_id, now_at.appointment_id)
    if was_at is not None and was_at.sequence >= now_at.sequence:
        return
    await store.save_seat(db, now_at)
    places = _touched(was_at, now_at)
    shared = now_at.shared or (was_at is not None and was_at.shared)
    await store.lock(db, places, shared=shared)
    for place in places:
        await rewish(db, place)


def _touched(was_at: Seat | None, now_at: Seat) -> list[Place]:
    places = {now_at.place, was_at.place if was_at else None} - {None}
    return sorted(place for place in places if place)


async def rewish(db: Tx, place: Place) -> bool:
    """Fold the seats of a locked place and wish for the result, if it differs from the last wish."""
    said = await store.wanted(db, place)
    wanted = fold(await store.seats_at(db, place), Wanted.from_json(said) if said else None)
    if wanted is None:
        return False
    access = await store.access(db, place.account_id, place.provider, wanted.host)
    desired = {**wanted.as_json(), "connection": access.stamp if access else None}
    if desired == said:
        return False
    await _wish(db, place, wanted, desired, provider_user=provider_user(wanted, access))
    return True


def provider_user(wanted: Wanted, access: Access | None) -> str:
    """Whose patience is spent: the provider's user, or as long as nobody is connected, the host."""
    return (access.external_id if access else None) or wanted.host


async def _wish(
    db: Tx, place: Place, wanted: Wanted, desired: dict[str, Any], *, provider_user: str
) -> None:
    sequence = await store.save_wanted(db, place, desired, host=wanted.host, ends_at=wanted.end)
    await desire(
        db,
        DesiredState(
            account_id=place.account_id,
            kind=MEETING,
            subject=place.subject,
            provider=place.provider,
            provider_user=provider_user,
            due_start=wanted.due(exists=await store.existing(db, place)),
            desired=desired,
            sequence=sequence,
        ),
    )


async def look_again(db: Tx, place: Place) -> None:
    """Wish the same of a locked place once more: who made a meeting there has lost the right to."""
    desired = await store.wanted(db, place)
    assert desired is not None
    wanted = Wanted.from_json(desired)
    access = await store.access(db, place.account_id, place.provider, wanted.host)
    await _wish(db, place, wanted, desired, provider_user=provider_user(wanted, access))


async def add_user(db: Tx, event: UserChanged, _: datetime) -> None:
    await store.add_person(db, event.account_id, event.state.id)


async def remove_user(db: Tx, event: UserDeleted, _: datetime) -> None:
    """Whoever leaves the account is disconnected; his meetings stay where they are."""
    account_id, user_id = event.account_id, event.state.id
    await store.remove_person(db, account_id, user_id)
    now = await store.transaction_time(db)
    of_him = await list_provider_accounts(db, account_id, owner_kind="user", owner_id=user_id)
    for listed in of_him:
        connection = await lock_provider_account(db, account_id, listed.id)
        if connection is not None and connection.status != "disconnected":
            ended = await disconnect(db, connection, now=now, reason="user_deleted")
            await follow_connection(db, ended, now)


async def forget_appointment(db: Tx, appointment_id: str) -> None:
    await store.forget_seat(db, appointment_id)


async def follow_connection(db: Tx, connection: Connected, now: datetime) -> None:
    """A connection was made, changed or ended: its host's sessions are to be looked at again.

    Ended: from this transaction on nothing it made is touched, not even to drop it, as Zoom's
    integration guide promises. The sessions themselves follow one by one, in a job.
    """
    if connection.status == "disconnected":
        await store.abandon(db, connection.account_id, connection.id)
    await desire(
        db,
        DesiredState(
            account_id=connection.account_id,
            kind=CONNECTION,
            subject=connection.id,
            provider=connection.provider,
            provider_user=connection.id,
            due_start=now,
            desired={"host": connection.owner_id},
            sequence=connection.sequence,
        ),
    )


async def lose_access(
    db: Tx, account_id: str, connection_id: str, *, reason: str, now: datetime
) -> None:
    """The provider no longer lets us in; what exists stays, and its owner is asked to mend it."""
    connection = await lock_provider_account(db, account_id, connection_id)
    if connection is not None and connection.status == "active":
        await set_status(db, connection, status="pending", reason=reason, now=now)


async def show(db: Tx, place: Place, meeting: booking_events.Meeting, *, now: datetime) -> None:
    """Announce how the session's link is, if that is news. The caller holds the session's wish."""
    told = await store.link(db, place)
    before, sequence = told or (booking_events.Meeting(provider=meeting.provider), 0)
    if meeting == before:
        return
    await store.save_link(db, place, meeting, sequence + 1)
    state = MeetingLink.model_validate(
        {
            "id": place.subject,
            "sequence": sequence + 1,
            "session": place.session,
            "provider": place.provider,
            "meeting": meeting,
        }
    )
    await announce(db, MeetingLinkChanged(account_id=place.account_id, state=state), now=now)
