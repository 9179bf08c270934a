"""What a calendar's settings do to its mails: switched off, in other words, to others as well."""

from datetime import timedelta

import pytest

from hoop_events.accounts import User, UserChanged
from hoop_events.base import Gone
from hoop_events.booking import Meeting
from hoop_events.calendars import CalendarDeleted
from hoop_platform.ids import new_id
from notifications import handlers, store
from notifications.__main__ import service
from notifications.domain import PLACEHOLDERS, Rule, Rules, unknown_placeholders
from notifications.domain.letter import Wording
from notifications.domain.placeholders import fill

ADA, HUGO, BOSS = "ada@example.com", "hugo@staff.example.com", "boss@example.com"
LATER = timedelta(hours=2)
TYPES = ("booked", "confirmation", "reschedule", "cancellation")


async def wish(office, life, *said, receiver="contact", **details):
    """Settings for mail to this receiver: a type each, or a whole body."""
    common = {"receiver_type": receiver, "channel": "email", "is_active": True, "deleted": False}
    async with office.db.transaction() as db:
        return await handlers.add_settings(
            db,
            life.account_id,
            life.state.calendar_id,
            [{**common, "notification_type": kind, "details": details} for kind in said],
            now=life.state.date_added,
        )


async def change(office, life, setting, **said):
    async with office.db.transaction() as db:
        await handlers.change_setting(
            db,
            life.account_id,
            life.state.calendar_id,
            setting.id,
            said,
            if_match=None,
            now=life.state.date_added,
        )


async def live(office, life):
    """Booked, moved, cancelled; all mails go in between."""
    for event in (life.booked(), life.moved(life.state.start_time + LATER), life.cancelled()):
        await office.hear(event)
        await office.work()


def text(mail, kind="plain"):
    return mail.get_body((kind,)).get_content().replace("\r\n", "\n")


async def test_active_settings_without_words_change_nothing(office, story):
    life = story()
    await office.hear(*life.people_and_places)
    await wish(office, life, *TYPES)
    await wish(office, life, *TYPES, receiver="assignedUser")
    await live(office, life)

    for who in (ADA, HUGO):
        assert office.subjects(who) == ["Confirmed", "Moved", "Cancelled"]


@pytest.mark.parametrize("how", [{"is_active": False}, {"deleted": True}])
@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("confirmation", ["Moved", "Cancelled"]),
        ("booked", ["Moved", "Cancelled"]),
        ("reschedule", ["Confirmed", "Cancelled"]),
        ("cancellation", ["Confirmed", "Moved"]),
    ],
)
async def test_one_switched_off(office, story, kind, left, how):
    """That mail to that receiver does not go; what follows it does, as if it had gone."""
    life = story()
    await office.hear(*life.people_and_places)
    [setting] = await wish(office, life, kind)
    await change(office, life, setting, **how)
    await live(office, life)

    assert office.subjects(ADA) == left
    assert office.subjects(HUGO) == ["Confirmed", "Moved", "Cancelled"]


async def test_switched_on_again(office, story):
    """Settings hold from the next mail on; nothing is sent after."""
    life = story(host=None)
    await office.hear(*life.people_and_places)
    [setting] = await wish(office, life, "confirmation")
    await change(office, life, setting, is_active=False)
    await office.hear(life.booked())
    await office.work()
    await change(office, life, setting, is_active=True)
    for event in (life.updated(), life.cancelled(), life.booked()):
        await office.hear(event)
        await office.work()

    assert office.subjects(ADA) == ["Cancelled", "Confirmed"]


async def test_confirmation_and_booking_are_two_things(office, story):
    """Where both are set, each speaks for its own: here only the request is told."""
    life = story(host=None)
    await office.hear(*life.people_and_places)
    await wish(office, life, "booked")
    [confirmation] = await wish(office, life, "confirmation")
    await change(office, life, confirmation, is_active=False)
    await office.hear(life.booked())
    await office.work()
    waiting = story(host=None)
    waiting.account_id, waiting.contact_id = life.account_id, life.contact_id
    waiting.state = waiting.state.model_copy(
        update={
            "calendar_id": life.state.calendar_id,
            "location_id": life.state.location_id,
            "contact_id": life.contact_id,
            "confirmed": False,
        }
    )
    booked = waiting.booked()
    state = booked.state.model_copy(update={"appointment_status": "new"})
    await office.hear(booked.model_copy(update={"state": state}))
    await office.work()

    assert office.subjects(ADA) == ["Requested"]


async def test_a_link_follows_the_confirmation(office, story):
    """Who wants no confirmation wants no link in a mail of its own, either."""
    life = story(host=None)
    await office.hear(*life.people_and_places)
    [setting] = await wish(office, life, "confirmation")
    await change(office, life, setting, is_active=False)
    link = Meeting(provider="zoom", state="ready", join_url="https://zoom.example/j/1")
    await office.hear(life.booked())
    await office.work()
    await office.hear(life.updated(meeting=link))
    await office.work()

    assert office.mails() == []


async def test_in_other_words(office, story):
    """Facts stand in the places; when and where still stand below; the name is that of the sender."""
    life = story(host=None)
    await office.hear(*life.people_and_places)
    await wish(
        office,
        life,
        "confirmation",
        subject="{{contact.name}}: {{ appointment.title }} on {{appointment.only_start_date}}",
        body="Dear {{contact.first_name}},\nat {{appointment.only_start_time}} <b>sharp</b>.",
        fromName="Talks, Inc.",
    )
    await office.hear(life.booked())
    await office.work()

    [mail] = office.mails(ADA)
    assert str(mail["Subject"]) == "Ada: First talk on Monday, 3 June 2097"
    assert str(mail["From"]) == "Talks Inc <appointments@hoop.example>"
    assert "Dear Ada,\nat 15:00 <b>sharp</b>." in text(mail)
    assert "Dear Ada,\nat 15:00 &lt;b&gt;sharp&lt;/b&gt;." in text(mail, "html")
    assert "Hello" not in text(mail)
    assert "15:00 - 15:30 (Europe/Berlin, UTC+02:00)" in text(mail)


async def test_what_people_type_begins_no_header_and_no_markup(office, story):
    """A contact's name with line ends and braces stands in a subject on one line, as it is."""
    life = story(host=None)
    name = "Ada\r\nBcc: eve@example.com {{location.name}} <script> =?utf-8?q?=0aX:_1?="
    await office.hear(*life.people_and_places, life.contact(2, name=name))
    await wish(office, life, "confirmation", subject="{{contact.name}}", body="{{contact.name}}")
    await office.hear(life.booked())
    await office.work()

    [mail] = office.mails(ADA)
    assert mail["Bcc"] is None
    assert mail["X"] is None
    assert "{{location.name}}" in str(mail["Subject"])
    assert "<script>" not in text(mail, "html")


async def test_others_get_mails_of_their_own(office, story):
    """An address gets what the settings that name it speak of, and nothing else; one mail each."""
    life = story()
    await office.hear(*life.people_and_places)
    await wish(office, life, "confirmation", additionalEmailIds=[BOSS])
    await wish(office, life, "cancellation", receiver="emails", additionalEmailIds=[BOSS])
    await live(office, life)

    assert office.subjects(BOSS) == ["Confirmed", "Cancelled"]
    assert {mail["To"] for mail in office.mails(BOSS)} == {BOSS}
    assert "With:     Ada" in text(office.mails(BOSS)[0])
    for who in (ADA, HUGO):
        assert office.subjects(who) == ["Confirmed", "Moved", "Cancelled"]


async def test_an_address_named_after_the_booking_learns_of_changes(office, story):
    life = story(host=None)
    await office.hear(*life.people_and_places, life.booked())
    await office.work()
    await wish(office, life, *TYPES, receiver="emails", additionalEmailIds=[BOSS])
    await office.hear(life.cancelled())
    await office.work()

    assert office.subjects(BOSS) == ["Cancelled"]


async def test_a_chosen_user(office, story):
    """Another user of the account is told what the setting speaks of; the assigned one not twice."""
    life = story()
    boss = User(id=new_id(), sequence=1, name="Bea Boss", email=BOSS)
    await office.hear(*life.people_and_places)
    await office.hear(UserChanged(account_id=life.account_id, state=boss))
    await wish(office, life, "confirmation", selectedUsers=[boss.id, life.host])
    await live(office, life)

    assert office.subjects(BOSS) == ["Confirmed"]
    assert office.subjects(HUGO) == ["Confirmed", "Moved", "Cancelled"]


async def test_other_channels_decide_nothing(office, story):
    life = story(host=None)
    await office.hear(*life.people_and_places)
    [setting] = await wish(office, life, "confirmation", additionalEmailIds=[BOSS])
    await change(office, life, setting, channel="sms", is_active=False)
    await office.hear(life.booked())
    await office.work()

    assert [mail["To"] for mail in office.mails()] == ["Ada <ada@example.com>"]


async def test_settings_go_with_their_calendar(office, story):
    """Deleted, it has none to show; with its tombstone they and the addresses are erased."""
    life = story()
    await office.hear(*life.people_and_places)
    await wish(office, life, "confirmation", additionalEmailIds=[BOSS])
    calendar = life.state.calendar_id
    gone = CalendarDeleted(
        account_id=life.account_id,
        state=Gone(id=calendar, sequence=2, deleted_at=life.state.date_added),
    )
    await office.hear(gone)
    assert await store.location_of(office.db, life.account_id, calendar) is None
    async with office.db.transaction() as db:
        await service.tombstones["calendars"](db, calendar)

    for table in ("setting", "addressee"):
        assert await office.db.fetchval(f"SELECT count(*) FROM {table}") == 0


def test_the_first_setting_that_fits_gives_the_words():
    """And one of another receiver never does."""
    first, other = Wording("first"), Wording("other")
    rules = Rules(
        active=(
            Rule("assignedUser", "confirmation", other),
            Rule("contact", "confirmation", first),
            Rule("contact", "confirmation", other),
        )
    )

    def words(role, kind="booked"):
        return rules.wording(kind, role, "x", confirmed=True)

    assert (words("contact"), words("user")) == (first, other)
    assert words("contact", "cancelled") == Wording()
    assert words("addressee") is None


def test_facts_are_not_searched_for_placeholders():
    """A contact who is called like a placeholder stays so."""
    facts = {"contact.name": "{{location.name}}", "location.name": "Main Street"}
    assert fill("{{contact.name}}, {{ location.name }}", facts) == "{{location.name}}, Main Street"
    assert unknown_placeholders(" ".join(f"{{{{ {name} }}}}" for name in PLACEHOLDERS)) == []


@pytest.mark.parametrize("text", ["{{7*7}}", "{{contact}}", "{{ contact.name }}{{x}}", "{{}}"])
def test_unknown_placeholders_are_found(text):
    assert len(unknown_placeholders(text)) == 1
