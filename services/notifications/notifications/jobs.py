"""Delivers pending messages: decide and store (commit), hand over to the mail server, record (commit)."""

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
from notifications.config import NotificationsSettings
from notifications.domain.message import MessageContent
from notifications.domain.mime import MailEnvelope, build_mail
from notifications.domain.next_action import GiveUp, NoAction, Send, Wait
from notifications.domain.threads import ThreadMessage
from notifications.handlers import deliveries
from notifications.providers import smtp
from notifications.store.threads import ThreadKey

MAX_UNANSWERED_DELAY = timedelta(seconds=30)
"""The longest delay after an attempt without a response: mail goes soon once the server is back."""
MAX_DOUBTFUL_ATTEMPTS = 10
"""A message that may have been delivered at each of so many attempts is not sent once more. The
growing delays between them come to more than eight minutes."""


async def deliver(runtime: Runtime[NotificationsSettings], claimed: Claimed) -> Outcome:
    """Send the pending message in the thread of this desired state, if there is one."""
    key = _thread_key(claimed)
    async with runtime.db.transaction() as db:
        action = await deliveries.decide_next_action(
            db,
            key,
            message_id=new_id(),
            now=runtime.clock.now(),
            link_wait=runtime.settings.link_wait_time,
        )
    match action:
        case NoAction():
            return Done()
        case Wait(reason, at_most):
            return Later(reason, at=None if at_most is None else _claimed_at(claimed) + at_most)
        case GiveUp(reason):
            return Failed(reason)
        case Send(message, content):
            await fp("mail_marked")
            return await _send(runtime, claimed, message, content)


def _thread_key(claimed: Claimed) -> ThreadKey:
    desired = claimed.desired_state.desired
    return ThreadKey(
        claimed.desired_state.account_id, desired["appointmentId"], desired["receiverId"]
    )


async def _send(
    runtime: Runtime[NotificationsSettings],
    claimed: Claimed,
    message: ThreadMessage,
    content: MessageContent,
) -> Outcome:
    """Hand the mail over; its acceptance is recorded before the connection is closed."""
    settings, key, now = runtime.settings, _thread_key(claimed), runtime.clock.now()
    mail = build_mail(content, MailEnvelope(message.id, message.occasion.name, settings.sender))
    try:
        async with smtp.open_session(_server(settings)) as session:
            await session.deliver(mail, sender=settings.sender.addr_spec, to=content.address)
            await fp("mail_accepted")
            await _record(
                runtime, lambda db: deliveries.record_delivered(db, key, message.id, now=now)
            )
    except smtp.DeliveryFailed as error:
        return await _not_delivered(runtime, claimed, message, error)
    return Done()


async def _not_delivered(
    runtime: Runtime[NotificationsSettings],
    claimed: Claimed,
    message: ThreadMessage,
    error: smtp.DeliveryFailed,
) -> Outcome:
    """Record why the mail was not delivered, or that it may have been; decide when to try again."""
    key, now, reason = _thread_key(claimed), runtime.clock.now(), error.reason
    match error:
        case smtp.MailDeferred():
            await _record(
                runtime,
                lambda db: deliveries.record_deferred(db, key, message.id, reason, now=now),
            )
            return Later(reason, at=None if error.responded else _retry_soon(claimed))
        case smtp.MailInDoubt() if claimed.attempts < MAX_DOUBTFUL_ATTEMPTS:
            return Later(reason)
        case smtp.MailInDoubt():
            await _record(
                runtime,
                lambda db: deliveries.record_doubtful(db, key, message.id, reason, now=now),
            )
        case _:
            await _record(
                runtime,
                lambda db: deliveries.record_rejected(db, key, message.id, reason, now=now),
            )
    return Failed(reason)


async def _record(
    runtime: Runtime[NotificationsSettings], write: Callable[[Tx], Awaitable[None]]
) -> None:
    """Record the outcome of a delivery; while Postgres is unavailable the outcome is held in memory.

    The time limit of the job ends the retries: then the message counts as in doubt.
    """
    while True:
        try:
            async with runtime.db.transaction() as db:
                return await write(db)
        except (*UNAVAILABLE, *CONTENTION) as error:
            log.warning("delivery not recorded yet", error=repr(error))
        await asyncio.sleep(0.2)


def _claimed_at(claimed: Claimed) -> datetime:
    """When the desired state was claimed, by the database's clock."""
    return claimed.lease_until - LEASE


def _retry_soon(claimed: Claimed) -> datetime:
    """The time of the next attempt, after growing delays from 0.5 s to 30 s."""
    delay = timedelta(seconds=0.25 * 2 ** min(claimed.attempts, 10))
    return _claimed_at(claimed) + min(delay, MAX_UNANSWERED_DELAY)


def _server(settings: NotificationsSettings) -> smtp.SmtpServer:
    return smtp.SmtpServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        tls=settings.smtp_tls,
        username=settings.smtp_username,
        password=settings.smtp_password,
        local_hostname=settings.sender.domain,
        timeout=settings.smtp_timeout,
    )
