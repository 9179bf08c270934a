"""Delivers what is owed: decide and write down (commit), hand to the mail server, record (commit)."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from hoop_platform.db.database import CONTENTION, UNAVAILABLE, Tx
from hoop_platform.failpoints import fp
from hoop_platform.ids import new_id
from hoop_platform.reconcile.desired_state import Claimed, Done, Failed, Later, Outcome
from hoop_platform.reconcile.worker import LEASE
from hoop_platform.runtime import Runtime
from hoop_platform.telemetry import log
from notifications import handlers, ics, smtp
from notifications.config import NotificationsSettings
from notifications.domain import GaveUp, Letter, Message, Nothing, Send, Wait
from notifications.store import Key

LONGEST_SILENCE = timedelta(seconds=30)
"""How long a mail server that did not answer is left alone: once it is back, mail goes soon."""
DOUBTS = 10
"""After so many tries a mail that may have gone each time is not sent once more: the growing waits
between them come to more than eight minutes."""


async def deliver(runtime: Runtime, mine: Claimed) -> Outcome:
    """Say what is owed in the thread of this wish, if anything."""
    settings: NotificationsSettings = runtime.settings
    key = _thread(mine)
    async with runtime.db.transaction() as db:
        step = await handlers.take_step(
            db, key, message_id=new_id(), now=runtime.clock.now(), link_wait=settings.patience
        )
    match step:
        case Nothing():
            return Done()
        case Wait(reason, more):
            return Later(reason, at=None if more is None else _begun(mine) + more)
        case GaveUp(reason):
            return Failed(reason)
        case Send(message, letter):
            await fp("mail_marked")
            return await _send(runtime, mine, message, letter)


def _thread(mine: Claimed) -> Key:
    desired = mine.desired_state.desired
    return Key(mine.desired_state.account_id, desired["appointmentId"], desired["receiverId"])


async def _send(runtime: Runtime, mine: Claimed, message: Message, letter: Letter) -> Outcome:
    """Hand the mail over; that it was taken is recorded at once, before anything else is said."""
    settings: NotificationsSettings = runtime.settings
    key, now = _thread(mine), runtime.clock.now()
    content = _mail(settings, message, letter)
    try:
        async with smtp.connected(_server(settings)) as post:
            await post.deliver(content, sender=settings.sender.addr_spec, to=letter.address)
            await fp("mail_accepted")
            await _record(runtime, lambda db: handlers.note_delivered(db, key, message.id, now=now))
    except smtp.Delivery as end:
        return await _ended(runtime, mine, message, end)
    return Done()


async def _ended(runtime: Runtime, mine: Claimed, message: Message, end: smtp.Delivery) -> Outcome:
    """It was not taken, or nobody knows."""
    key, now, reason = _thread(mine), runtime.clock.now(), end.reason
    if isinstance(end, smtp.NotNow):
        await _record(
            runtime, lambda db: handlers.note_refused(db, key, message.id, reason, now=now)
        )
        return Later(reason, at=None if end.answered else _soon(mine))
    if isinstance(end, smtp.InDoubt) and mine.attempts < DOUBTS:
        return Later(reason)
    ended = handlers.note_doubtful if isinstance(end, smtp.InDoubt) else handlers.note_failed
    await _record(runtime, lambda db: ended(db, key, message.id, reason, now=now))
    return Failed(reason)


async def _record(runtime: Runtime, deed: Callable[[Tx], Awaitable[None]]) -> None:
    """Write down what became of a mail. While Postgres is away, this is remembered here.

    The job's own time limit ends the waiting: then the mail counts as being in doubt.
    """
    while True:
        try:
            async with runtime.db.transaction() as db:
                return await deed(db)
        except (*UNAVAILABLE, *CONTENTION) as error:
            log.warning("delivery not recorded yet", error=repr(error))
        await asyncio.sleep(0.2)


def _begun(mine: Claimed) -> datetime:
    """When the wish was claimed, by the database's clock."""
    return mine.lease_until - LEASE


def _soon(mine: Claimed) -> datetime:
    """Growing waits, 0.5 s to 30 s."""
    wait = timedelta(seconds=0.25 * 2 ** min(mine.attempts, 10))
    return _begun(mine) + min(wait, LONGEST_SILENCE)


def _mail(settings: NotificationsSettings, message: Message, letter: Letter) -> bytes:
    envelope = smtp.Envelope(
        message_id=message.id,
        occasion=message.occasion.name,
        sender=settings.sender,
        method=ics.method(letter),
        calendar=ics.calendar(letter, organizer=settings.sender),
    )
    return smtp.compose(letter, envelope)


def _server(settings: NotificationsSettings) -> smtp.Server:
    return smtp.Server(
        host=settings.smtp_host,
        port=settings.smtp_port,
        tls=settings.smtp_tls,
        username=settings.smtp_username,
        password=settings.smtp_password,
        name=settings.sender.domain,
        timeout=settings.smtp_timeout,
    )
