"""From an event to the mailbox, with a real Postgres and a real mail server that fails on demand."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import icalendar
import pytest

from hoop_events.accounts import ContactDeleted, UserDeleted
from hoop_events.base import Gone
from hoop_events.booking import Meeting
from hoop_events.calendars import CalendarDeleted
from hoop_platform import failpoints
from hoop_platform.ids import hexed, new_id
from hoop_platform.reconcile import claims
from hoop_platform.reconcile.attempt import Attempt
from hoop_platform.reconcile.calls import Calls
from hoop_platform.reconcile.claims import Finish, Position, claim_due, finish
from hoop_platform.reconcile.outcome import Later
from hoop_platform.reconcile.plan import UNCERTAIN_WAIT
from notifications.__main__ import service
from notifications.handlers.notification_settings import add_settings
from notifications.jobs.mails import MailReconciler

ADA, HUGO = "ada@example.com", "hugo@staff.example.com"


@pytest.fixture(autouse=True)
def disarm():
    yield
    failpoints.disarm()


def link(number=1):
    url = f"https://zoom.example/j/{number}?pwd=a&x=b"
    return Meeting(provider="zoom", state="ready", join_url=url)


PENDING = Meeting(provider="zoom", state="pending")
LATER = timedelta(hours=2)
NOW = datetime(2027, 3, 1, 8, tzinfo=UTC)


async def test_booked_rescheduled_cancelled(harness, new_appointment):
    """Booked, moved, cancelled: three mails to each of contact and host, all of one calendar entry."""
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events, appointment.booked(link(1)))
    await harness.deliver_due()
    await harness.handle(appointment.moved(appointment.state.start_time + LATER, link(2)))
    await harness.deliver_due()
    await harness.handle(appointment.cancelled())
    await harness.deliver_due()

    for who in (ADA, HUGO):
        mails = harness.mails(who)
        assert harness.subjects(who) == ["Confirmed", "Moved", "Cancelled"]
        events = [event_of(mail) for mail in mails]
        assert {str(event["UID"]) for event in events} == {f"{appointment.state.id}0@google.com"}
        sequences = [int(event["SEQUENCE"]) for event in events]
        assert sequences == sorted(set(sequences))
        assert str(events[-1]["STATUS"]) == "CANCELLED"
        assert len({mail["Message-ID"] for mail in mails}) == 3
    assert {type_ for type_, _, _ in await harness.announced()} == {"NotificationSent"}


def only(found):
    [element] = found
    return element


def event_of(mail):
    part = next(p for p in mail.walk() if p.get_content_type() == "text/calendar")
    return only(icalendar.Calendar.from_ical(part.get_content()).walk("VEVENT"))


async def test_times_are_in_the_zone_of_the_receiver(harness, new_appointment):
    """The contact's own zone; the location's for the host, who has none."""
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    await harness.deliver_due()

    assert "15:00 - 15:30 (Europe/Berlin, UTC+02:00)" in text(harness.mails(ADA)[0])
    assert "09:00 - 09:30 (America/New_York, UTC-04:00)" in text(harness.mails(HUGO)[0])


def text(mail, kind="plain"):
    return mail.get_body((kind,)).get_content()


async def test_the_mail_waits_for_its_link(harness, new_appointment):
    """While the link is being created no mail goes; once it is ready, one mail with the link goes."""
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events, appointment.booked(PENDING))
    assert await harness.deliver_due() == 1
    assert harness.mails() == []

    await harness.handle(appointment.updated(meeting=link()))
    await harness.deliver_due()

    assert harness.subjects(ADA) == ["Confirmed"]
    assert "https://zoom.example/j/1?pwd=a&x=b" in text(harness.mails(ADA)[0])


@pytest.mark.parametrize("state", ["blocked", "failed"])
async def test_a_link_that_will_not_come_is_not_waited_for(harness, new_appointment, state):
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events, appointment.booked(PENDING))
    await harness.deliver_due()
    await harness.handle(appointment.updated(meeting=Meeting(provider="zoom", state=state)))
    await harness.deliver_due()

    assert harness.subjects(ADA) == ["Confirmed"]


async def test_a_late_link_is_a_mail_of_its_own(open_harness, new_appointment):
    """After LINK_WAIT the confirmation goes without the link; each later link is a mail of its own."""
    appointment = new_appointment(host=None)
    async with open_harness(link_wait=0.3) as harness:
        await harness.handle(*appointment.surrounding_events, appointment.booked(PENDING))
        await harness.until(lambda: len(harness.mails()) == 1)
        await harness.handle(
            appointment.updated(meeting=link(1)), appointment.updated(meeting=link(1))
        )
        await harness.deliver_due()
        await harness.handle(appointment.updated(meeting=link(2)))
        await harness.deliver_due()

        assert harness.subjects(ADA) == ["Confirmed", "Join link", "Join link"]
        session = appointment.state.session
        occasions = [occasion for _, occasion, _ in await harness.announced()]
        assert occasions == [f"booked:{session}", f"link:{session}:1", f"link:{session}:2"]


async def test_a_link_that_does_not_come_is_waited_for_no_longer(open_harness, new_appointment):
    """By a worker that runs: it makes its first attempt when LINK_WAIT is over."""
    appointment = new_appointment(host=None)
    async with open_harness(link_wait=0.5) as harness, harness.working():
        await harness.handle(*appointment.surrounding_events, appointment.booked(PENDING))
        assert await harness.db.fetchval("SELECT attempts FROM work") == 0
        await until(lambda: bool(harness.mails()))

        assert "https" not in text(harness.mails()[0])


async def test_a_mail_that_is_switched_off_waits_for_no_link(open_harness, new_appointment):
    """It counts as notified at once: the cancellation that comes before the link is sent."""
    appointment = new_appointment(host=None)
    async with open_harness() as harness, harness.working():
        await harness.handle(*appointment.surrounding_events)
        async with harness.db.transaction() as db:
            fields = {"receiver_type": "contact", "notification_type": "confirmation"}
            fields |= {"channel": "email", "is_active": False, "deleted": False, "details": {}}
            await add_settings(
                db, appointment.account_id, appointment.state.calendar_id, [fields], now=NOW
            )
        await harness.handle(appointment.booked(PENDING))
        async with asyncio.timeout(8):
            while await harness.db.fetchval("SELECT status FROM work") != "done":
                await asyncio.sleep(0.02)
        await harness.handle(appointment.cancelled())
        await until(lambda: bool(harness.mails()))

        assert harness.subjects(ADA) == ["Cancelled"]


async def test_moved_before_the_confirmation_went(harness, new_appointment):
    """One confirmation, with the new time, under the occasion of the move."""
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events, appointment.booked(PENDING))
    await harness.deliver_due()
    await harness.handle(appointment.moved(appointment.state.start_time + LATER, link()))
    await harness.deliver_due()

    assert harness.subjects(ADA) == ["Confirmed"]
    assert "17:00 - 17:30" in text(harness.mails(ADA)[0])
    assert [occasion for _, occasion, _ in await harness.announced()] == ["rescheduled:2"]


async def test_cancelled_before_the_confirmation_went(harness, new_appointment):
    """No mail goes, and nothing is announced."""
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events, appointment.booked(PENDING))
    await harness.deliver_due()
    await harness.handle(appointment.cancelled())
    await harness.deliver_due()

    assert harness.mails() == []
    assert await harness.announced() == []


async def test_a_silent_change_sends_nothing(harness, new_appointment):
    appointment = new_appointment()
    start = appointment.state.start_time
    await harness.handle(*appointment.surrounding_events, appointment.booked(notify=False))
    await harness.handle(appointment.moved(start + LATER, notify=False), appointment.cancelled())

    assert await harness.deliver_due() == 0
    assert harness.mails() == []


async def test_another_host(harness, new_appointment):
    """The new host gets a confirmation, the former a cancellation, the contact the change."""
    appointment, anna = new_appointment(), new_appointment()
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    await harness.deliver_due()
    new_host = anna.user().state.model_copy(update={"email": "anna@staff.example.com"})
    await harness.handle(
        anna.user().model_copy(update={"account_id": appointment.account_id, "state": new_host})
    )
    await harness.handle(appointment.handed_to(anna.host))
    await harness.deliver_due()

    assert harness.subjects(ADA) == ["Confirmed", "Moved"]
    assert harness.subjects(HUGO) == ["Confirmed", "Cancelled"]
    assert harness.subjects("anna@") == ["Confirmed"]
    assert "this appointment now takes place without you" in text(harness.mails(HUGO)[1])


async def test_an_unknown_contact_is_waited_for(harness, new_appointment):
    """If the appointment's event comes first, the mail goes once the contact is known."""
    appointment = new_appointment(host=None)
    await harness.handle(appointment.calendar(), appointment.location(), appointment.booked())
    assert await harness.deliver_due() == 1
    assert harness.mails() == []

    await harness.handle(appointment.contact())
    await harness.deliver_due()

    assert harness.subjects(ADA) == ["Confirmed"]


async def test_a_temporary_refusal(harness, new_appointment):
    """A server that greylists gets the mail a little later, once."""
    appointment = new_appointment(host=None)
    await harness.fault("reply:451 4.7.1 Greylisted, try later")
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    assert await harness.worker.once()
    waiting = await harness.db.fetchrow("SELECT status, reason FROM message")
    assert tuple(waiting) == ("waiting", "smtp_451_4.7.1")
    await harness.until(lambda: bool(harness.mails()))

    assert await harness.deliver_due() == 0
    assert len(harness.mails()) == 1


@pytest.mark.parametrize("do", ["reply:550 5.1.1 No such user", "data-reply:552 Too big"])
async def test_a_permanent_refusal(harness, new_appointment, do):
    """A permanent refusal is announced, with the code and without the address, and not tried again."""
    appointment = new_appointment(host=None)
    await harness.fault(do, times=5)
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    await harness.deliver_due()

    [(type_, occasion, reason)] = await harness.announced()
    assert (type_, occasion) == ("NotificationFailed", f"booked:{appointment.state.session}")
    assert reason in ("smtp_550_5.1.1", "smtp_552")
    await harness.handle(appointment.cancelled())
    assert await harness.deliver_due() == 0


async def test_a_corrected_address(harness, new_appointment):
    """Refused for the address; when the contact has another address, the mail goes there."""
    appointment = new_appointment(host=None)
    await harness.fault("reply:550 5.1.1 No such user", times=5, rcpt=ADA)
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    await harness.deliver_due()
    await harness.handle(appointment.contact(sequence=2, email="lovelace@example.com"))
    await harness.deliver_due()

    assert harness.subjects("lovelace@example.com") == ["Confirmed"]
    assert [type_ for type_, _, _ in await harness.announced()] == [
        "NotificationFailed",
        "NotificationSent",
    ]


@pytest.mark.parametrize("address", ["", "ada@example.com, eve@example.com", "ada@[127.0.0.1]"])
async def test_no_usable_address(harness, new_appointment, address):
    """No mail goes to a text that is not one plain address, and the failure is announced."""
    appointment = new_appointment(host=None)
    await harness.handle(
        appointment.calendar(), appointment.location(), appointment.contact(email=address)
    )
    await harness.handle(appointment.booked())
    await harness.deliver_due()

    assert [reason for _, _, reason in await harness.announced()] == ["no_usable_address"]
    assert list(harness.sink.log.entries) == []


async def test_no_response_to_the_recipient(open_harness, new_appointment):
    """The connection to a hanging server is closed after the time limit; the mail goes later, once."""
    appointment = new_appointment(host=None)
    async with open_harness(smtp_timeout=0.4) as harness:
        await harness.fault("hang")
        await harness.handle(*appointment.surrounding_events, appointment.booked())
        assert await harness.worker.once()
        assert await harness.db.fetchval("SELECT reason FROM message") == "smtp_timeout"
        await harness.until(lambda: bool(harness.mails()))

        assert len(harness.mails()) == 1


async def test_connection_refused(open_harness, new_appointment, unused_tcp_port):
    """The mail waits."""
    appointment = new_appointment(host=None)
    async with open_harness(smtp_port=unused_tcp_port) as harness:
        await harness.handle(*appointment.surrounding_events, appointment.booked())
        await harness.deliver_due()
        found = await harness.db.fetchrow("SELECT status, reason FROM message")

    assert tuple(found) == ("waiting", "smtp_unreachable")


async def test_no_mail_without_the_required_tls(open_harness, new_appointment):
    """A server that does not offer STARTTLS gets no mail if the setting requires it."""
    appointment = new_appointment(host=None)
    async with open_harness(smtp_tls="starttls") as harness:
        await harness.handle(*appointment.surrounding_events, appointment.booked())
        assert await harness.worker.once()

        assert await harness.db.fetchval("SELECT reason FROM message") == "smtp_unreachable"
        assert harness.mails() == []


@pytest.mark.parametrize("do", ["drop-after-data", "hang-after-data"])
async def test_no_response_after_the_text(open_harness, new_appointment, do):
    """The mail may have been delivered: the same mail goes again, once, equal to the last byte."""
    appointment = new_appointment(host=None)
    async with open_harness(smtp_data_timeout=0.4) as harness:
        await harness.fault(do)
        await harness.handle(*appointment.surrounding_events, appointment.booked())
        assert await harness.deliver_due() == 1
        assert await harness.after(UNCERTAIN_WAIT / 2) == 0
        assert len(harness.mails()) == 1
        await harness.after(UNCERTAIN_WAIT)
        assert len(harness.mails()) == 2
        assert await harness.after(LATER) == 0

        assert len({message.raw for message in harness.sink.messages}) == 1
        assert [type_ for type_, _, _ in await harness.announced()] == ["NotificationSent"]


async def test_a_slow_server_gets_the_mail_once(open_harness, new_appointment, monkeypatch):
    """It responds after several times a lease: the lease is renewed, nothing is repeated."""
    monkeypatch.setattr(claims, "LEASE", timedelta(seconds=0.6))
    appointment = new_appointment(host=None)
    async with open_harness(smtp_timeout=0.3) as harness, harness.working():
        await harness.fault("hang-after-data:2")
        await harness.handle(*appointment.surrounding_events, appointment.booked())
        async with asyncio.timeout(10):
            while not await harness.announced():
                await asyncio.sleep(0.05)

        assert len(harness.mails()) == 1
        assert [type_ for type_, _, _ in await harness.announced()] == ["NotificationSent"]


async def test_at_most_one_repeat_in_doubt(harness, new_appointment):
    """A server that never responds after the text gets the mail at most twice."""
    appointment = new_appointment(host=None)
    await harness.fault("drop-after-data", times=20)
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    assert await harness.worker.once()
    for _ in range(3):
        await harness.after(UNCERTAIN_WAIT)

    assert len(harness.mails()) == 2
    assert await harness.deliver_due() == 0
    [(type_, _, reason)] = await harness.announced()
    assert (type_, reason) == ("NotificationFailed", "smtp_unreachable")


async def test_a_mail_in_doubt_that_is_false_by_now(harness, new_appointment):
    """The mail is not sent again, but counts as delivered: the change goes, and later the cancellation."""
    appointment = new_appointment(host=None)
    await harness.fault("drop-after-data")
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    await harness.deliver_due()
    await harness.handle(appointment.moved(appointment.state.start_time + LATER))
    await harness.deliver_due()
    await harness.handle(appointment.cancelled())
    await harness.deliver_due()

    assert harness.subjects(ADA) == ["Confirmed", "Moved", "Cancelled"]
    assert [type_ for type_, _, _ in await harness.announced()] == [
        "NotificationFailed",
        "NotificationSent",
        "NotificationSent",
    ]


async def test_a_crash_between_acceptance_and_record(harness, new_appointment):
    """Accepted and not recorded: at most one more transmission, with the same Message-ID."""
    appointment = new_appointment(host=None)
    failpoints.arm("mail_created=raise")
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    await harness.deliver_due()
    assert len(harness.mails()) == 1
    for _ in range(3):
        await harness.after(UNCERTAIN_WAIT)
    assert len(harness.mails()) == 2

    assert len({mail["Message-ID"] for mail in harness.mails()}) == 1
    assert len({message.raw for message in harness.sink.messages}) == 1
    assert len(await harness.announced()) == 1


async def test_a_crash_before_the_transmission(harness, new_appointment):
    """Stored as in flight and not transmitted: sent once."""
    appointment = new_appointment(host=None)
    failpoints.arm("mail_intended=raise")
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    await harness.deliver_due()
    assert harness.mails() == []
    for _ in range(3):
        await harness.after(UNCERTAIN_WAIT)

    assert len(harness.mails()) == 1


async def test_an_event_between_the_decision_and_the_call(harness, new_appointment):
    """The decision is about a state that holds no more: no mail goes. Silent or not, pending or not."""
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    [claimed] = (await claim_due(harness.db, ["mail"], 1, Position())).claimed
    reconciler = MailReconciler(harness.runtime, harness.server)
    facts = await reconciler.load(claimed)
    await harness.handle(appointment.cancelled(notify=False))

    calls = Calls(harness.runtime, reconciler.adapter("smtp"), claimed, facts)
    outcome = await Attempt(harness.runtime, reconciler, calls).run()
    assert (type(outcome), outcome.wait) == (Later, timedelta())
    await finish(harness.db, [Finish(claimed, outcome)], patient=True)
    assert await harness.deliver_due() == 1
    assert harness.mails() == []


async def test_a_new_address_and_a_cancellation_at_the_same_time(harness, new_appointment):
    """The message that was refused does not go to the new address after the cancellation."""
    appointment = new_appointment(host=None)
    await harness.fault("reply:550 5.1.1 No such user", rcpt=ADA)
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    await harness.deliver_due()
    corrected, cancelled = appointment.contact(sequence=2, email="x@y.zz"), appointment.cancelled()
    async with asyncio.TaskGroup() as tasks, harness.db.transaction() as db:
        await service.subscriptions[type(cancelled)](db, cancelled, NOW)
        tasks.create_task(harness.handle(corrected))
        await until_blocked(harness)
        assert await harness.deliver_due() == 0
    await harness.deliver_due()

    assert harness.mails() == []


async def until_blocked(harness):
    async with asyncio.timeout(8):
        while not await harness.db.fetchval(BLOCKED_BACKENDS):
            await asyncio.sleep(0.02)


BLOCKED_BACKENDS = """
    SELECT count(*) FROM pg_stat_activity
     WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


async def test_postgres_unavailable_after_acceptance(harness, new_appointment):
    """The acceptance is held in memory until Postgres is back: no second transmission."""
    appointment = new_appointment(host=None)
    await harness.fault("hang-after-data:0.5")
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(harness.worker.once())
        await until(lambda: bool(harness.mails()))
        async with harness.db.transaction() as db:
            await db.execute("SELECT FROM work FOR UPDATE")
            while not await harness.db.fetchval(TERMINATE_BLOCKED_BACKENDS):
                await asyncio.sleep(0.02)
    await harness.deliver_due()

    assert len(harness.mails()) == 1
    assert [type_ for type_, _, _ in await harness.announced()] == ["NotificationSent"]


TERMINATE_BLOCKED_BACKENDS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


async def until(true):
    async with asyncio.timeout(8):
        while not true():
            await asyncio.sleep(0.01)


async def test_concurrent_workers(harness, new_appointment):
    """Many desired states, several workers: one mail per receiver and appointment."""
    appointments = [new_appointment() for _ in range(8)]
    for appointment in appointments:
        await harness.handle(*appointment.surrounding_events, appointment.booked())
    await asyncio.gather(*(harness.deliver_due() for _ in range(4)))
    await harness.deliver_due()

    assert len(harness.mails()) == 16
    assert len({mail["Message-ID"] for mail in harness.mails()}) == 16


async def test_an_erased_contact(harness, new_appointment):
    """No mail goes to an erased contact, and no personal data is left."""
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events, appointment.booked(PENDING))
    await harness.deliver_due()
    gone = Gone(id=appointment.contact_id, sequence=2)
    await harness.handle(ContactDeleted(account_id=appointment.account_id, state=gone))
    await harness.handle(appointment.updated(meeting=link()))
    await harness.deliver_due()

    assert harness.mails() == []
    assert not NAMES_ADA.search(await everything_stored(harness))


NAMES_ADA = re.compile("Ada|ada@")  # `ada` alone may be part of an id


async def everything_stored(harness):
    """The rows of all tables that may hold personal data, as text."""
    tables = ("contact", "appointment", "thread", "external", "work", "outbox")
    found = [await harness.db.fetch(f"SELECT * FROM {table}") for table in tables]
    return repr([dict(row) for rows in found for row in rows])


@pytest.mark.parametrize("outcome", ["accepted", "slow", "lost"])
async def test_a_contact_who_is_erased_while_the_mail_is_in_flight(
    harness, new_appointment, outcome
):
    """Whatever becomes of that mail: none follows, and no personal data comes back."""
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    await harness.fault(FAULTS[outcome])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(harness.worker.once())
        await until(lambda: bool(harness.sink.log.entries))
        gone = Gone(id=appointment.contact_id, sequence=2)
        await harness.handle(ContactDeleted(account_id=appointment.account_id, state=gone))
        assert not NAMES_ADA.search(await everything_stored(harness))
    await harness.handle(appointment.cancelled())
    for _ in range(3):
        await harness.after(UNCERTAIN_WAIT)

    assert len(harness.mails()) <= 1
    assert not NAMES_ADA.search(await everything_stored(harness))
    assert await harness.db.fetchval("SELECT status FROM message") == "doubtful"


FAULTS = {
    "accepted": "hang-after-data:0.5",
    "slow": "hang:0.5",
    "lost": "drop-after-data",
}


async def test_a_refused_address_is_erased(harness, new_appointment):
    """It is kept to see that another one is tried; no longer than the contact."""
    appointment = new_appointment(host=None)
    await harness.fault("reply:550 5.1.1 No such user")
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    await harness.deliver_due()
    assert await harness.db.fetchval("SELECT address FROM message") == ADA
    gone = Gone(id=appointment.contact_id, sequence=2)
    await harness.handle(ContactDeleted(account_id=appointment.account_id, state=gone))

    assert not NAMES_ADA.search(await everything_stored(harness))


@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize("fault", ["hang:0.01", "drop-after-data", "reply:451 4.7.1 Later"])
async def test_no_text_is_kept_of_a_mail_that_has_ended(harness, new_appointment, fault, times):
    """While a mail may have to go again its content is kept; then nothing of it but ids and times."""
    appointment = new_appointment()
    await harness.fault(fault, times=times)
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    for _ in range(4):
        await harness.after(UNCERTAIN_WAIT)
    kept = await harness.db.fetch("SELECT content, data FROM external")

    assert [row["content"] for row in kept] == [None, None]
    assert not any(name in repr(kept) for name in ("Ada", "Hugo", "First talk", "@"))


async def test_why_was_no_mail_sent(harness, new_appointment):
    """The query of the README says what each thread waits for, and what has become of its messages."""
    appointment = new_appointment()
    await harness.fault("reply:451 4.7.1 Greylisted", times=1, rcpt=HUGO)
    events = (appointment.user(), appointment.calendar(), appointment.location())
    await harness.handle(*events, appointment.booked())
    await harness.deliver_due()
    assert await why(harness, appointment) == [
        ("contact", f"booked:{appointment.state.session}", "receiver not known yet", None, None),
        ("user", *[f"booked:{appointment.state.session}"], *GREYLISTED, "waiting"),
    ]

    await harness.handle(appointment.moved(appointment.state.start_time + LATER))
    await harness.deliver_due()
    assert await why(harness, appointment) == [
        ("contact", "rescheduled:2", "receiver not known yet", None, None),
        ("user", "rescheduled:2", None, None, "dropped"),
        ("user", "rescheduled:2", None, None, "sent"),
    ]


GREYLISTED = ("smtp_451_4.7.1", "smtp_451_4.7.1")


async def why(harness, appointment):
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    [query] = re.findall(r"`(SELECT t\.role, [^`]*)`", readme)
    appointment_id = hexed(appointment.state.id)
    rows = await harness.db.fetch(
        query.replace("…", f"'{appointment_id}' ORDER BY t.role, m.number")
    )
    return [
        (row["role"], row["pending_occasion"], row["last_error"], row["reason"], row["status"])
        for row in rows
    ]


@pytest.mark.parametrize("topic", ["contacts", "users"])
async def test_the_tombstone_of_a_person(harness, new_appointment, topic):
    """The tombstone erases, too; the tombstone of an unknown id, or of no id, changes nothing."""
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events)
    await tombstone(
        harness, topic, {"contacts": appointment.contact_id, "users": appointment.host}[topic]
    )
    await tombstone(harness, topic, new_id())
    await tombstone(harness, topic, "not an id")
    await harness.handle(appointment.booked())
    await harness.deliver_due()

    assert [mail["To"].addresses[0].addr_spec for mail in harness.mails()] == [
        {"contacts": HUGO, "users": ADA}[topic]
    ]


async def tombstone(harness, topic, key):
    async with harness.db.transaction() as db:
        await service.tombstones[topic](db, key)


async def test_a_deleted_user(harness, new_appointment):
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    gone = Gone(id=appointment.host, sequence=2)
    await harness.handle(UserDeleted(account_id=appointment.account_id, state=gone))
    await harness.deliver_due()

    assert (harness.subjects(ADA), harness.subjects(HUGO)) == (["Confirmed"], [])


async def test_a_cancellation_still_names_a_deleted_calendar(harness, new_appointment):
    """Mails name calendar and location until their tombstones."""
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    await harness.deliver_due()
    gone = Gone(id=appointment.state.calendar_id, sequence=2)
    await harness.handle(
        CalendarDeleted(account_id=appointment.account_id, state=gone), appointment.cancelled()
    )
    await harness.deliver_due()
    assert "Calendar: Talks" in text(harness.mails()[-1])

    await tombstone(harness, "calendars", appointment.state.calendar_id)
    await tombstone(harness, "locations", appointment.state.location_id)
    await tombstone(harness, "locations", "not an id")
    assert await harness.db.fetchval("SELECT count(*) FROM calendar, location") == 0


async def test_the_tombstone_of_an_appointment(harness, new_appointment):
    """The tombstone deletes threads, messages and desired states."""
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events, appointment.booked(PENDING))
    await tombstone(harness, "appointments", appointment.state.id)
    await tombstone(harness, "appointments", "not an id")

    for table in ("appointment", "thread", "message", "external", "work"):
        assert await harness.db.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_another_account_with_the_same_ids(harness, new_appointment):
    """All data belongs to one account: an unknown contact of another account stays unknown."""
    appointment = new_appointment(host=None)
    stranger = new_appointment(account_id=new_id(), contact_id=appointment.contact_id, host=None)
    await harness.handle(*appointment.surrounding_events, stranger.booked())
    await harness.deliver_due()

    assert harness.mails() == []


HOSTILE_TEXT = 'x\r\nBcc: eve@example.com\r\n\u2028END:VEVENT\x85<script>alert(1)</script>{{7*7}}"'


async def test_hostile_texts(harness, new_appointment):
    """Text injects no header, no property and no markup; braces stay braces."""
    appointment = new_appointment(host=None)
    personal = appointment.state.personal.model_copy(
        update={"title": HOSTILE_TEXT, "address": HOSTILE_TEXT, "description": HOSTILE_TEXT}
    )
    appointment.state = appointment.state.model_copy(update={"personal": personal})
    await harness.handle(
        appointment.calendar(),
        appointment.location(),
        appointment.contact(name=HOSTILE_TEXT + ", <e@x.yz>"),
    )
    await harness.handle(appointment.booked(link()))
    await harness.deliver_due()

    [mail] = harness.mails()
    assert harness.sink.messages[0].recipients == [ADA]
    assert [address.addr_spec for address in mail["To"].addresses] == [ADA]
    assert mail["Bcc"] is None
    assert "<script>" not in text(mail, "html")
    assert "&lt;script&gt;" in text(mail, "html")
    assert "{{7*7}}" in text(mail)
    event = event_of(mail)
    assert set(event) == PROPERTIES | {"LOCATION", "URL", "DESCRIPTION"}
    assert not any(sign in text(mail) for sign in "\x85\u2028")


PROPERTIES = {
    "UID",
    "SEQUENCE",
    "DTSTAMP",
    "DTSTART",
    "DTEND",
    "SUMMARY",
    "STATUS",
    "ORGANIZER",
    "ATTENDEE",
}
