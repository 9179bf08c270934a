"""Two replicas, of which one is killed, or frozen beyond its lease: no mail is lost, none goes a third time."""

import asyncio
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hoop_platform.reconcile.plan import UNCERTAIN_WAIT

pytestmark = pytest.mark.timeout(120)
PROGRAM = Path(__file__).parent / "replica.py"
POINTS = ("mail_claimed", "mail_intended", "mail_created", "mail_performed", "mail_recorded")


@asynccontextmanager
async def replica(harness, failpoints):
    """Another process that delivers the mails of the same database."""
    port = str(harness.settings.smtp_port)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), harness.db.dsn, port, failpoints
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        await process.wait()


async def until_frozen(process):
    async with asyncio.timeout(60):
        while await _state_of(process.pid) != "T":
            await asyncio.sleep(0.02)


async def _state_of(pid):
    ps = await asyncio.create_subprocess_exec(
        "ps", "-o", "stat=", "-p", str(pid), stdout=asyncio.subprocess.PIPE
    )
    shown, _ = await ps.communicate()
    return shown.decode()[:1]


async def thaw_and_finish(process):
    """It ends what it was doing, and begins nothing more."""
    process.send_signal(signal.SIGCONT)
    process.terminate()
    assert await process.wait() == 0


async def the_other_takes_over(harness):
    """The lease is over, the wait for a mail in doubt, too, several times."""
    await harness.db.execute("UPDATE work SET lease_until = clock_timestamp()")
    for _ in range(3):
        await harness.after(UNCERTAIN_WAIT)


def only_one_message(harness):
    [message_id] = {mail["Message-ID"] for mail in harness.mails()}
    [_] = {message.raw for message in harness.sink.messages}
    return message_id


@pytest.mark.parametrize("point", POINTS)
async def test_killed(harness, new_appointment, point):
    """At most one repeat, the same mail; and it is announced once."""
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    async with replica(harness, f"{point}=kill") as process:
        await process.wait()
    await the_other_takes_over(harness)

    accepted_before = point in ("mail_created", "mail_performed")
    assert len(harness.mails()) == (2 if accepted_before else 1)
    assert only_one_message(harness)
    assert [type_ for type_, _, _ in await harness.announced()] == ["NotificationSent"]


@pytest.mark.parametrize("point", POINTS)
async def test_frozen(harness, new_appointment, point):
    """Whatever it does when it thaws, nobody gets a third copy, and a cancellation is the last word."""
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    async with replica(harness, f"{point}=stop") as process:
        await until_frozen(process)
        await the_other_takes_over(harness)
        await thaw_and_finish(process)
        await the_other_takes_over(harness)

    in_doubt = point not in ("mail_claimed", "mail_recorded")
    assert len(harness.mails()) == (2 if in_doubt else 1)
    assert only_one_message(harness)
    assert [type_ for type_, _, _ in await harness.announced()] == ["NotificationSent"]
    await harness.handle(appointment.cancelled())
    await harness.deliver_due()
    assert harness.subjects("")[-1] == "Cancelled"


async def test_frozen_while_the_content_becomes_false(harness, new_appointment):
    """In flight when it was frozen, false when it thaws: what it knows comes too late to be announced."""
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    async with replica(harness, "mail_performed=stop") as process:
        await until_frozen(process)
        await harness.handle(appointment.cancelled())
        await the_other_takes_over(harness)
        await thaw_and_finish(process)
        await the_other_takes_over(harness)

    assert harness.subjects("") == ["Confirmed", "Cancelled"]
    announced = [(type_, reason) for type_, _, reason in await harness.announced()]
    assert announced == [("NotificationFailed", "in_doubt"), ("NotificationSent", None)]
