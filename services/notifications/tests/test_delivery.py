"""From an event to the mailbox, on a real Postgres and a real mail server that goes wrong on demand."""

import asyncio
from datetime import timedelta

import icalendar
import pytest

from hoop_events.accounts import ContactDeleted, UserDeleted
from hoop_events.base import Gone
from hoop_events.booking import Meeting
from hoop_events.calendars import CalendarDeleted
from hoop_platform import failpoints
from hoop_platform.ids import new_id
from notifications.__main__ import service

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


async def test_a_whole_life(office, story):
    """Booked, moved, cancelled: three mails to each of contact and host, all of one calendar entry."""
    life = story()
    await office.hear(*life.people_and_places, life.booked(link(1)))
    await office.work()
    await office.hear(life.moved(life.state.start_time + LATER, link(2)))
    await office.work()
    await office.hear(life.cancelled())
    await office.work()

    for who in (ADA, HUGO):
        mails = office.mails(who)
        assert office.subjects(who) == ["Confirmed", "Moved", "Cancelled"]
        events = [event_of(mail) for mail in mails]
        assert {str(event["UID"]) for event in events} == {life.state.id}
        sequences = [int(event["SEQUENCE"]) for event in events]
        assert sequences == sorted(set(sequences))
        assert str(events[-1]["STATUS"]) == "CANCELLED"
        assert len({mail["Message-ID"] for mail in mails}) == 3
    assert {type_ for type_, _, _ in await office.announced()} == {"NotificationSent"}


def only(found):
    [one] = found
    return one


def event_of(mail):
    part = next(p for p in mail.walk() if p.get_content_type() == "text/calendar")
    return only(icalendar.Calendar.from_ical(part.get_content()).walk("VEVENT"))


async def test_times_stand_in_the_zone_of_the_reader(office, story):
    """The contact's own zone; the host has none, so the location's."""
    life = story()
    await office.hear(*life.people_and_places, life.booked())
    await office.work()

    assert "15:00 - 15:30 (Europe/Berlin, UTC+02:00)" in text(office.mails(ADA)[0])
    assert "09:00 - 09:30 (America/New_York, UTC-04:00)" in text(office.mails(HUGO)[0])


def text(mail, kind="plain"):
    return mail.get_body((kind,)).get_content()


async def test_the_mail_waits_for_its_link(office, story):
    """While the link is being made nothing goes; when it is there, one mail with it goes at once."""
    life = story(host=None)
    await office.hear(*life.people_and_places, life.booked(PENDING))
    assert await office.work() == 1
    assert office.mails() == []

    await office.hear(life.updated(meeting=link()))
    await office.work()

    assert office.subjects(ADA) == ["Confirmed"]
    assert "https://zoom.example/j/1?pwd=a&x=b" in text(office.mails(ADA)[0])


@pytest.mark.parametrize("state", ["blocked", "failed"])
async def test_a_link_that_will_not_come_is_not_waited_for(office, story, state):
    life = story(host=None)
    await office.hear(*life.people_and_places, life.booked(PENDING))
    await office.work()
    await office.hear(life.updated(meeting=Meeting(provider="zoom", state=state)))
    await office.work()

    assert office.subjects(ADA) == ["Confirmed"]


async def test_a_late_link_is_a_mail_of_its_own(open_office, story):
    """LINK_WAIT over, the confirmation goes without; then one mail brings the link, and a new one another."""
    life = story(host=None)
    async with open_office(link_wait=0.3) as office:
        await office.hear(*life.people_and_places, life.booked(PENDING))
        await office.until(lambda: len(office.mails()) == 1)
        await office.hear(life.updated(meeting=link(1)), life.updated(meeting=link(1)))
        await office.work()
        await office.hear(life.updated(meeting=link(2)))
        await office.work()

        assert office.subjects(ADA) == ["Confirmed", "Join link", "Join link"]
        session = life.state.session
        occasions = [occasion for _, occasion, _ in await office.announced()]
        assert occasions == [f"booked:{session}", f"link:{session}:1", f"link:{session}:2"]


async def test_moved_before_the_confirmation_went(office, story):
    """One confirmation, with the new time, under the occasion of the move."""
    life = story(host=None)
    await office.hear(*life.people_and_places, life.booked(PENDING))
    await office.work()
    await office.hear(life.moved(life.state.start_time + LATER, link()))
    await office.work()

    assert office.subjects(ADA) == ["Confirmed"]
    assert "17:00 - 17:30" in text(office.mails(ADA)[0])
    assert [occasion for _, occasion, _ in await office.announced()] == ["rescheduled:2"]


async def test_cancelled_before_the_confirmation_went(office, story):
    """Nobody hears anything."""
    life = story()
    await office.hear(*life.people_and_places, life.booked(PENDING))
    await office.work()
    await office.hear(life.cancelled())
    await office.work()

    assert office.mails() == []
    assert await office.announced() == []


async def test_a_silent_change_sends_nothing(office, story):
    life = story()
    start = life.state.start_time
    await office.hear(*life.people_and_places, life.booked(notify=False))
    await office.hear(life.moved(start + LATER, notify=False), life.cancelled())

    assert await office.work() == 0
    assert office.mails() == []


async def test_another_host(office, story):
    """The new host gets a confirmation, the former a cancellation, the contact the change."""
    life, anna = story(), story()
    await office.hear(*life.people_and_places, life.booked())
    await office.work()
    newcomer = anna.user().state.model_copy(update={"email": "anna@staff.example.com"})
    await office.hear(
        anna.user().model_copy(update={"account_id": life.account_id, "state": newcomer})
    )
    await office.hear(life.handed_to(anna.host))
    await office.work()

    assert office.subjects(ADA) == ["Confirmed", "Moved"]
    assert office.subjects(HUGO) == ["Confirmed", "Cancelled"]
    assert office.subjects("anna@") == ["Confirmed"]
    assert "this appointment now has another host" in text(office.mails(HUGO)[1])


async def test_an_unknown_contact_is_waited_for(office, story):
    """The event of the booking came first: the mail goes as soon as the contact is known."""
    life = story(host=None)
    await office.hear(life.calendar(), life.location(), life.booked())
    assert await office.work() == 1
    assert office.mails() == []

    await office.hear(life.contact())
    await office.work()

    assert office.subjects(ADA) == ["Confirmed"]


async def test_not_now(office, story):
    """A greylisting server gets the mail a little later, once."""
    life = story(host=None)
    await office.fault("reply:451 4.7.1 Greylisted, try later")
    await office.hear(*life.people_and_places, life.booked())
    assert await office.worker.once()
    waiting = await office.db.fetchrow("SELECT status, reason FROM message")
    assert tuple(waiting) == ("waiting", "smtp_451_4.7.1")
    await office.until(lambda: bool(office.mails()))

    assert await office.work() == 0
    assert len(office.mails()) == 1


@pytest.mark.parametrize("do", ["reply:550 5.1.1 No such user", "data-reply:552 Too big"])
async def test_never(office, story, do):
    """A refusal for good is announced, with the code and without the address, and not tried again."""
    life = story(host=None)
    await office.fault(do, times=5)
    await office.hear(*life.people_and_places, life.booked())
    await office.work()

    [(type_, occasion, reason)] = await office.announced()
    assert (type_, occasion) == ("NotificationFailed", f"booked:{life.state.session}")
    assert reason in ("smtp_550_5.1.1", "smtp_552")
    await office.hear(life.cancelled())
    assert await office.work() == 0


async def test_a_corrected_address(office, story):
    """Refused for the address; when the contact has another, the mail goes there."""
    life = story(host=None)
    await office.fault("reply:550 5.1.1 No such user", times=5, rcpt=ADA)
    await office.hear(*life.people_and_places, life.booked())
    await office.work()
    await office.hear(life.contact(sequence=2, email="lovelace@example.com"))
    await office.work()

    assert office.subjects("lovelace@example.com") == ["Confirmed"]
    assert [type_ for type_, _, _ in await office.announced()] == [
        "NotificationFailed",
        "NotificationSent",
    ]


@pytest.mark.parametrize("address", ["", "ada@example.com, eve@example.com", "ada@[127.0.0.1]"])
async def test_no_usable_address(office, story, address):
    """What is not one plain address gets nothing, and that is announced."""
    life = story(host=None)
    await office.hear(life.calendar(), life.location(), life.contact(email=address))
    await office.hear(life.booked())
    await office.work()

    assert [reason for _, _, reason in await office.announced()] == ["no_usable_address"]
    assert list(office.sink.log.entries) == []


async def test_silence_at_the_receiver(open_office, story):
    """A server that hangs is left after the time limit; the mail goes later, once."""
    life = story(host=None)
    async with open_office(smtp_timeout=0.4) as office:
        await office.fault("hang")
        await office.hear(*life.people_and_places, life.booked())
        assert await office.worker.once()
        assert await office.db.fetchval("SELECT reason FROM message") == "smtp_timeout"
        await office.until(lambda: bool(office.mails()))

        assert len(office.mails()) == 1


async def test_nobody_listens(open_office, story, unused_tcp_port):
    """Connection refused: the mail waits."""
    life = story(host=None)
    async with open_office(smtp_port=unused_tcp_port) as office:
        await office.hear(*life.people_and_places, life.booked())
        await office.work()
        found = await office.db.fetchrow("SELECT status, reason FROM message")

    assert tuple(found) == ("waiting", "smtp_unreachable")


async def test_never_in_the_open(open_office, story):
    """A server that does not offer the TLS we ask for gets no mail."""
    life = story(host=None)
    async with open_office(smtp_tls="starttls") as office:
        await office.hear(*life.people_and_places, life.booked())
        assert await office.worker.once()

        assert await office.db.fetchval("SELECT reason FROM message") == "smtp_unreachable"
        assert office.mails() == []


@pytest.mark.parametrize("do", ["drop-after-data", "hang-after-data"])
async def test_no_answer_after_the_text(open_office, story, do):
    """Nobody knows whether it went: the same mail goes again, equal to the last byte."""
    life = story(host=None)
    async with open_office(smtp_timeout=0.4) as office:
        await office.fault(do)
        await office.hear(*life.people_and_places, life.booked())
        await office.until(lambda: len(office.mails()) == 2)
        await office.work()

        assert len({message.raw for message in office.sink.messages}) == 1
        assert [type_ for type_, _, _ in await office.announced()] == ["NotificationSent"]


async def test_in_doubt_for_ever(office, story):
    """A server that never answers after the text is not given it more than ten times."""
    life = story(host=None)
    await office.fault("drop-after-data", times=20)
    await office.hear(*life.people_and_places, life.booked())
    assert await office.worker.once()
    await office.db.execute("UPDATE work SET attempts = 9, next_attempt_at = now()")
    await office.work()

    assert len(office.mails()) == 2
    assert await office.work() == 0
    [(type_, _, reason)] = await office.announced()
    assert (type_, reason) == ("NotificationFailed", "smtp_unreachable")


async def test_a_mail_in_doubt_that_is_false_by_now(office, story):
    """It is not sent again: it may have gone, so the change goes, and later the cancellation."""
    life = story(host=None)
    await office.fault("drop-after-data")
    await office.hear(*life.people_and_places, life.booked())
    await office.work()
    await office.hear(life.moved(life.state.start_time + LATER))
    await office.work()
    await office.hear(life.cancelled())
    await office.work()

    assert office.subjects(ADA) == ["Confirmed", "Moved", "Cancelled"]
    assert [type_ for type_, _, _ in await office.announced()] == [
        "NotificationFailed",
        "NotificationSent",
        "NotificationSent",
    ]


async def test_death_between_acceptance_and_record(office, story):
    """Taken by the server and not recorded: at most one more transmission, with the same Message-ID."""
    life = story(host=None)
    failpoints.arm("mail_accepted=raise")
    await office.hear(*life.people_and_places, life.booked())
    await office.until(lambda: len(office.mails()) == 2)
    await office.work()

    assert len({mail["Message-ID"] for mail in office.mails()}) == 1
    assert len({message.raw for message in office.sink.messages}) == 1
    assert len(await office.announced()) == 1


async def test_death_before_the_server_was_asked(office, story):
    """Marked and not sent: sent once."""
    life = story(host=None)
    failpoints.arm("mail_marked=raise")
    await office.hear(*life.people_and_places, life.booked())
    await office.until(lambda: bool(office.mails()))
    await office.work()

    assert len(office.mails()) == 1


async def test_postgres_away_after_acceptance(office, story):
    """What the mail server took is remembered until Postgres is back: no second transmission."""
    life = story(host=None)
    await office.fault("hang-after-data:0.5")
    await office.hear(*life.people_and_places, life.booked())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(office.worker.once())
        await until(lambda: bool(office.mails()))
        async with office.db.transaction() as db:
            await db.execute("SELECT FROM appointment FOR UPDATE")
            while not await office.db.fetchval(CUT_WHO_WAITS):
                await asyncio.sleep(0.02)
    await office.work()

    assert len(office.mails()) == 1
    assert [type_ for type_, _, _ in await office.announced()] == ["NotificationSent"]


CUT_WHO_WAITS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


async def until(true):
    async with asyncio.timeout(8):
        while not true():
            await asyncio.sleep(0.01)


async def test_two_hands_at_once(office, story):
    """Many wishes, two workers: one mail per receiver and appointment."""
    lives = [story() for _ in range(8)]
    for life in lives:
        await office.hear(*life.people_and_places, life.booked())
    await asyncio.gather(*(office.work() for _ in range(4)))
    await office.work()

    assert len(office.mails()) == 16
    assert len({mail["Message-ID"] for mail in office.mails()}) == 16


async def test_an_erased_contact(office, story):
    """Nothing goes to somebody who is gone, and nothing of them is kept."""
    life = story(host=None)
    await office.hear(*life.people_and_places, life.booked(PENDING))
    await office.work()
    gone = Gone(id=life.contact_id, sequence=2)
    await office.hear(ContactDeleted(account_id=life.account_id, state=gone))
    await office.hear(life.updated(meeting=link()))
    await office.work()

    assert office.mails() == []
    kept = await office.db.fetch("SELECT contact.*, message.* FROM contact, message")
    assert "ada" not in repr([dict(row) for row in kept]).lower()


@pytest.mark.parametrize("topic", ["contacts", "users"])
async def test_a_person_whose_record_is_empty(office, story, topic):
    """The tombstone erases, too; somebody unknown, or what is no id, changes nothing."""
    life = story()
    await office.hear(*life.people_and_places)
    await tombstone(office, topic, {"contacts": life.contact_id, "users": life.host}[topic])
    await tombstone(office, topic, new_id())
    await tombstone(office, topic, "not an id")
    await office.hear(life.booked())
    await office.work()

    assert [mail["To"].addresses[0].addr_spec for mail in office.mails()] == [
        {"contacts": HUGO, "users": ADA}[topic]
    ]


async def tombstone(office, topic, key):
    async with office.db.transaction() as db:
        await service.tombstones[topic](db, key)


async def test_a_user_who_left(office, story):
    life = story()
    await office.hear(*life.people_and_places, life.booked())
    gone = Gone(id=life.host, sequence=2)
    await office.hear(UserDeleted(account_id=life.account_id, state=gone))
    await office.work()

    assert (office.subjects(ADA), office.subjects(HUGO)) == (["Confirmed"], [])


async def test_a_cancellation_still_names_a_deleted_calendar(office, story):
    """Calendar and location are named until their tombstones; a mail goes without, after a while."""
    life = story(host=None)
    await office.hear(*life.people_and_places, life.booked())
    await office.work()
    gone = Gone(id=life.state.calendar_id, sequence=2)
    await office.hear(CalendarDeleted(account_id=life.account_id, state=gone), life.cancelled())
    await office.work()
    assert "Calendar: Talks" in text(office.mails()[-1])

    await tombstone(office, "calendars", life.state.calendar_id)
    await tombstone(office, "locations", life.state.location_id)
    await tombstone(office, "locations", "not an id")
    assert await office.db.fetchval("SELECT count(*) FROM calendar, location") == 0


async def test_an_appointment_that_is_forgotten(office, story):
    """Its tombstone takes threads, messages and wishes along."""
    life = story()
    await office.hear(*life.people_and_places, life.booked(PENDING))
    await tombstone(office, "appointments", life.state.id)
    await tombstone(office, "appointments", "not an id")

    for table in ("appointment", "thread", "message", "work"):
        assert await office.db.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_another_account_of_the_same_ids(office, story):
    """Everything is kept by account: an unknown contact of another account stays unknown."""
    life = story(host=None)
    stranger = story(account_id=new_id(), contact_id=life.contact_id, host=None)
    await office.hear(*life.people_and_places, stranger.booked())
    await office.work()

    assert office.mails() == []


SPITE = 'x\r\nBcc: eve@example.com\r\n\u2028END:VEVENT\x85<script>alert(1)</script>{{7*7}}"'


async def test_spiteful_texts(office, story):
    """No header, no property, no markup can be smuggled in; braces stay braces."""
    life = story(host=None)
    words = life.state.personal.model_copy(
        update={"title": SPITE, "address": SPITE, "description": SPITE}
    )
    life.state = life.state.model_copy(update={"personal": words})
    await office.hear(life.calendar(), life.location(), life.contact(name=SPITE + ", <e@x.yz>"))
    await office.hear(life.booked(link()))
    await office.work()

    [mail] = office.mails()
    assert office.sink.messages[0].recipients == [ADA]
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
