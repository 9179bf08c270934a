"""What notifications does on an event and on the result of a delivery: load, decide, save, announce."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from hoop_events.accounts import (
    ContactChanged,
    ContactDeleted,
    LocationChanged,
    UserChanged,
    UserDeleted,
)
from hoop_events.base import Event
from hoop_events.booking import Appointment, AppointmentEvent
from hoop_events.calendars import CalendarChanged, CalendarDeleted
from hoop_events.effects import Message as Fate
from hoop_events.effects import NotificationFailed, NotificationSent
from hoop_platform.db.database import Tx
from hoop_platform.ids import is_id
from hoop_platform.kafka.batch import Tombstone
from hoop_platform.outbox.announce import announce
from hoop_platform.reconcile.desired_state import DesiredState, close_circuit, desire
from notifications import store
from notifications.domain import (
    FINAL,
    Case,
    Message,
    Nothing,
    Receiver,
    Role,
    Scene,
    Step,
    Thread,
    assumed,
    delivered,
    doubted,
    fold,
    land,
    newcomer,
    next_step,
    owed,
    receivers,
    refused,
    rejected,
)
from notifications.store import Key

KIND = "mail"
PROVIDER = "smtp"


async def note_appointment(db: Tx, event: AppointmentEvent, _: datetime) -> None:
    """Remember what is true now, and wish for a message to each receiver who must be told."""
    account_id, state = event.account_id, event.state
    before = await store.lock_appointment(db, account_id, state.id)
    await store.keep_appointment(db, account_id, state)
    for receiver_id, thread in (await _threads(db, account_id, before, state)).items():
        key = Key(account_id, state.id, receiver_id)
        folded = fold(thread, before, event)
        occasion = owed(assumed(folded), state)
        name = occasion.name if occasion else None
        await store.save_thread(db, key, folded, owed=name)
        if occasion:
            await desire(db, _wish(key, state))


async def _threads(
    db: Tx, account_id: str, before: Appointment | None, state: Appointment
) -> Mapping[str, Thread]:
    """Of everybody who is, or was, to be told. An assigned user is told as such, not as a colleague."""
    rules = await store.rules(db, account_id, state.calendar_id)
    first = receivers(state)
    known = await store.threads(db, account_id, state.id)
    known |= {who: replace(known[who], role=role) for who, role in first.items() if who in known}
    present = {**rules.extras, **first}
    return {who: newcomer(role, who, before) for who, role in present.items()} | known


def _wish(key: Key, state: Appointment) -> DesiredState:
    """One wish per thread; one at a time per receiver, so that their mails keep their order."""
    return DesiredState(
        account_id=key.account_id,
        kind=KIND,
        subject=key.subject,
        provider=PROVIDER,
        provider_user=key.receiver_id,
        due_start=state.start_time,
        desired={"appointmentId": key.appointment_id, "receiverId": key.receiver_id},
        sequence=state.sequence,
    )


async def forget_appointment(db: Tx, appointment_id: str) -> None:
    """Its record on the topic is empty: so is ours, and nothing is said of it any more."""
    if is_id(appointment_id):
        await store.forget_wishes(db, await store.forget_appointment(db, appointment_id))


async def note_calendar(db: Tx, event: CalendarChanged, _: datetime) -> None:
    name = event.state.settings.get("name")
    name = name if isinstance(name, str) else ""
    await store.keep_calendar(
        db, event.account_id, event.state.id, name=name, location_id=event.state.location_id
    )


async def note_location(db: Tx, event: LocationChanged, _: datetime) -> None:
    state = event.state
    await store.keep_location(
        db, event.account_id, state.id, name=state.name, time_zone=state.time_zone
    )


async def end_calendar(db: Tx, event: CalendarDeleted, _: datetime) -> None:
    """Its settings are not shown any more; its name, and they, go with the tombstone that follows."""
    await store.end_calendar(db, event.account_id, event.subject)


async def keep_name(db: Tx, event: Event, _: datetime) -> None:
    """A location was deleted: the cancellations of its appointments still name it.

    Its name goes with the tombstone that follows.
    """


async def note_contact(db: Tx, event: ContactChanged, _: datetime) -> None:
    state, personal = event.state, event.state.personal
    person = Receiver(state.id, personal.name, personal.email, state.time_zone)
    await store.keep_person(db, event.account_id, "contact", person)
    await close_circuit(db, PROVIDER, state.id)


async def note_user(db: Tx, event: UserChanged, _: datetime) -> None:
    state = event.state
    person = Receiver(state.id, state.name, state.email, state.time_zone)
    await store.keep_person(db, event.account_id, "user", person)
    await close_circuit(db, PROVIDER, state.id)


async def forget_contact(db: Tx, event: ContactDeleted, _: datetime) -> None:
    await _erase(db, event.account_id, "contact", event.subject)


async def forget_user(db: Tx, event: UserDeleted, _: datetime) -> None:
    await _erase(db, event.account_id, "user", event.subject)


async def _erase(db: Tx, account_id: str, role: Role, person_id: str) -> None:
    """Erase who and where they were; nothing more goes to them."""
    await store.keep_person(db, account_id, role, Receiver(person_id, gone=True))
    await store.erase_receiver(db, account_id, person_id)


def forget_person(role: Role) -> Tombstone:
    """What to do when the record of a contact or a user is empty: a tombstone names no account."""

    async def forget(db: Tx, person_id: str) -> None:
        if is_id(person_id):
            for account_id in await store.accounts_of(db, role, person_id):
                await _erase(db, account_id, role, person_id)

    return forget


def forget_place(table: store.Place) -> Tombstone:
    """What to do when the record of a calendar or a location is empty."""

    async def forget(db: Tx, place_id: str) -> None:
        if is_id(place_id):
            await store.forget_place(db, table, place_id)
            if table == "calendar":
                await store.forget_settings(db, place_id)

    return forget


async def take_step(
    db: Tx, key: Key, *, message_id: str, now: datetime, link_wait: timedelta
) -> Step:
    """Decide what to do in a thread now, and write it down: a message to send is in the air from here.

    `message_id` is for a message that has none yet.
    """
    state = await store.lock_appointment(db, key.account_id, key.appointment_id)
    thread = (await store.threads(db, key.account_id, key.appointment_id)).get(key.receiver_id)
    if state is None or thread is None:
        return Nothing()
    landed = land(thread, state, now=now)
    receiver, scene = await _people(db, key, landed, state)
    case = Case(
        state=state,
        thread=landed,
        receiver=receiver,
        scene=scene,
        waited=await store.waited(db, key),
        link_wait=link_wait,
        message_id=message_id,
        now=now,
        rules=await store.rules(db, key.account_id, state.calendar_id),
    )
    ahead, step = next_step(case)
    await _save(db, key, thread, ahead, state, now=now)
    return step


async def _people(
    db: Tx, key: Key, thread: Thread, state: Appointment
) -> tuple[Receiver | None, Scene]:
    """The receiver, and what surrounds the appointment: its people and places."""
    receiver = await store.person(db, key.account_id, thread.role, key.receiver_id)
    contact = await store.person(db, key.account_id, "contact", state.contact_id)
    host = await store.person(db, key.account_id, "user", state.assigned_user_id)
    scene = await store.scene(
        db,
        key.account_id,
        state,
        contact=contact.name if contact else "",
        host=host.name if host else "",
    )
    return receiver, scene


async def note_delivered(db: Tx, key: Key, message_id: str, *, now: datetime) -> None:
    """The mail server has taken it."""
    await _settle(db, key, lambda thread: delivered(thread, message_id), now=now)


async def note_refused(db: Tx, key: Key, message_id: str, reason: str, *, now: datetime) -> None:
    """The mail server did not take it this time."""
    await _settle(db, key, lambda thread: refused(thread, message_id, reason), now=now)


async def note_failed(db: Tx, key: Key, message_id: str, reason: str, *, now: datetime) -> None:
    """The mail server will never take it."""
    await _settle(db, key, lambda thread: rejected(thread, message_id, reason), now=now)


async def note_doubtful(db: Tx, key: Key, message_id: str, reason: str, *, now: datetime) -> None:
    """It was handed over often enough without an answer: it may have gone."""
    await _settle(db, key, lambda thread: doubted(thread, message_id, reason), now=now)


async def _settle(db: Tx, key: Key, settle: Callable[[Thread], Thread], *, now: datetime) -> None:
    state = await store.lock_appointment(db, key.account_id, key.appointment_id)
    thread = (await store.threads(db, key.account_id, key.appointment_id)).get(key.receiver_id)
    if state is not None and thread is not None:
        await _save(db, key, thread, settle(thread), state, now=now)


async def _save(
    db: Tx, key: Key, before: Thread, after: Thread, state: Appointment, *, now: datetime
) -> None:
    """Save what is different; a message's final fate is announced."""
    if after == before:
        return
    occasion = owed(assumed(after), state)
    await store.save_thread(db, key, after, owed=occasion.name if occasion else None)
    changed = [message for message in after.messages if message not in before.messages]
    # What ends comes first: only one message of a thread may be under way.
    for message in sorted(changed, key=lambda m: m.status in ("waiting", "sending")):
        await _save_message(db, key, message, now=now)


async def _save_message(db: Tx, key: Key, message: Message, *, now: datetime) -> None:
    sequence = await store.save_message(db, key, message)
    if message.status not in FINAL:
        return
    event = NotificationSent if message.status == "sent" else NotificationFailed
    fate = Fate(
        id=message.id,
        sequence=sequence,
        appointment_id=key.appointment_id,
        occasion=message.occasion.name,
        receiver_id=key.receiver_id,
        reason=message.reason,
    )
    await announce(db, event(account_id=key.account_id, state=fate), now=now)
