"""The effect of a calendar's settings on its mails: switched off, reworded, sent to others, too."""

from datetime import timedelta

import pytest

from hoop_events.accounts import User, UserChanged
from hoop_events.base import Gone
from hoop_events.booking import Meeting
from hoop_events.calendars import CalendarDeleted
from hoop_platform.ids import new_id
from notifications.__main__ import service
from notifications.domain.message import Wording
from notifications.domain.notification_rules import NotificationRule, NotificationRules
from notifications.domain.text import PLACEHOLDERS, fill, unknown_placeholders
from notifications.handlers.notification_settings import add_settings, change_setting
from notifications.store.calendars import get_calendar_location

ADA, HUGO, BOSS = "ada@example.com", "hugo@staff.example.com", "boss@example.com"
LATER = timedelta(hours=2)
TYPES = ("booked", "confirmation", "reschedule", "cancellation")


async def configure(harness, appointment, *types, receiver="contact", **details):
    """Add one setting for mail to this receiver for each of the types; returns them."""
    common = {"receiver_type": receiver, "channel": "email", "is_active": True, "deleted": False}
    async with harness.db.transaction() as db:
        return await add_settings(
            db,
            appointment.account_id,
            appointment.state.calendar_id,
            [{**common, "notification_type": type_, "details": details} for type_ in types],
            now=appointment.state.date_added,
        )


async def change(harness, appointment, setting, **fields):
    async with harness.db.transaction() as db:
        await change_setting(
            db,
            appointment.account_id,
            appointment.state.calendar_id,
            setting.id,
            fields,
            if_match=None,
            now=appointment.state.date_added,
        )


async def book_move_cancel(harness, appointment):
    """Handle the three events, each with the delivery of its mails."""
    for event in (
        appointment.booked(),
        appointment.moved(appointment.state.start_time + LATER),
        appointment.cancelled(),
    ):
        await harness.handle(event)
        await harness.deliver_due()


def text(mail, kind="plain"):
    return mail.get_body((kind,)).get_content().replace("\r\n", "\n")


async def test_active_settings_without_texts_change_nothing(harness, new_appointment):
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events)
    await configure(harness, appointment, *TYPES)
    await configure(harness, appointment, *TYPES, receiver="assignedUser")
    await book_move_cancel(harness, appointment)

    for who in (ADA, HUGO):
        assert harness.subjects(who) == ["Confirmed", "Moved", "Cancelled"]


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
async def test_one_switched_off(harness, new_appointment, kind, left, how):
    """That mail to that receiver does not go; later mails go as if it had been delivered."""
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events)
    [setting] = await configure(harness, appointment, kind)
    await change(harness, appointment, setting, **how)
    await book_move_cancel(harness, appointment)

    assert harness.subjects(ADA) == left
    assert harness.subjects(HUGO) == ["Confirmed", "Moved", "Cancelled"]


async def test_switched_on_again(harness, new_appointment):
    """Settings apply from the next mail on; no suppressed mail is sent afterwards."""
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events)
    [setting] = await configure(harness, appointment, "confirmation")
    await change(harness, appointment, setting, is_active=False)
    await harness.handle(appointment.booked())
    await harness.deliver_due()
    await change(harness, appointment, setting, is_active=True)
    for event in (appointment.updated(), appointment.cancelled(), appointment.booked()):
        await harness.handle(event)
        await harness.deliver_due()

    assert harness.subjects(ADA) == ["Cancelled", "Confirmed"]


async def test_confirmation_and_booked_are_two_types(harness, new_appointment):
    """If both are set, each applies to its own mails: here only the request sends a mail."""
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events)
    await configure(harness, appointment, "booked")
    [confirmation] = await configure(harness, appointment, "confirmation")
    await change(harness, appointment, confirmation, is_active=False)
    await harness.handle(appointment.booked())
    await harness.deliver_due()
    waiting = new_appointment(host=None)
    waiting.account_id, waiting.contact_id = appointment.account_id, appointment.contact_id
    waiting.state = waiting.state.model_copy(
        update={
            "calendar_id": appointment.state.calendar_id,
            "location_id": appointment.state.location_id,
            "contact_id": appointment.contact_id,
            "confirmed": False,
        }
    )
    booked = waiting.booked()
    state = booked.state.model_copy(update={"appointment_status": "new"})
    await harness.handle(booked.model_copy(update={"state": state}))
    await harness.deliver_due()

    assert harness.subjects(ADA) == ["Requested"]


async def test_a_link_follows_the_confirmation(harness, new_appointment):
    """Without confirmations there are no mails about links, either."""
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events)
    [setting] = await configure(harness, appointment, "confirmation")
    await change(harness, appointment, setting, is_active=False)
    link = Meeting(provider="zoom", state="ready", join_url="https://zoom.example/j/1")
    await harness.handle(appointment.booked())
    await harness.deliver_due()
    await harness.handle(appointment.updated(meeting=link))
    await harness.deliver_due()

    assert harness.mails() == []


async def test_a_wording_of_its_own(harness, new_appointment):
    """Placeholders are replaced, time and location follow below, and the sender has the given name."""
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events)
    await configure(
        harness,
        appointment,
        "confirmation",
        subject="{{contact.name}}: {{ appointment.title }} on {{appointment.only_start_date}}",
        body="Dear {{contact.first_name}},\nat {{appointment.only_start_time}} <b>sharp</b>.",
        fromName="Talks, Inc.",
    )
    await harness.handle(appointment.booked())
    await harness.deliver_due()

    [mail] = harness.mails(ADA)
    assert str(mail["Subject"]) == "Ada: First talk on Monday, 3 June 2097"
    assert str(mail["From"]) == '"Talks, Inc." <appointments@hoop.example>'
    assert "Dear Ada,\nat 15:00 <b>sharp</b>." in text(mail)
    assert "Dear Ada,\nat 15:00 &lt;b&gt;sharp&lt;/b&gt;." in text(mail, "html")
    assert "Hello" not in text(mail)
    assert "15:00 - 15:30 (Europe/Berlin, UTC+02:00)" in text(mail)


async def test_names_inject_no_header_and_no_markup(harness, new_appointment):
    """A contact's name with line ends and braces stands unchanged in a subject, on one line."""
    appointment = new_appointment(host=None)
    name = "Ada\r\nBcc: eve@example.com {{location.name}} <script> =?utf-8?q?=0aX:_1?="
    await harness.handle(*appointment.surrounding_events, appointment.contact(2, name=name))
    await configure(
        harness, appointment, "confirmation", subject="{{contact.name}}", body="{{contact.name}}"
    )
    await harness.handle(appointment.booked())
    await harness.deliver_due()

    [mail] = harness.mails(ADA)
    assert mail["Bcc"] is None
    assert mail["X"] is None
    assert "{{location.name}}" in str(mail["Subject"])
    assert "<script>" not in text(mail, "html")


async def test_additional_addresses_get_mails_of_their_own(harness, new_appointment):
    """An address gets the mails of the settings that name it, and no others; one mail each."""
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events)
    await configure(harness, appointment, "confirmation", additionalEmailIds=[BOSS])
    await configure(
        harness, appointment, "cancellation", receiver="emails", additionalEmailIds=[BOSS]
    )
    await book_move_cancel(harness, appointment)

    assert harness.subjects(BOSS) == ["Confirmed", "Cancelled"]
    assert {mail["To"] for mail in harness.mails(BOSS)} == {BOSS}
    assert "With:     Ada" in text(harness.mails(BOSS)[0])
    for who in (ADA, HUGO):
        assert harness.subjects(who) == ["Confirmed", "Moved", "Cancelled"]


async def test_an_address_added_after_the_booking_gets_changes(harness, new_appointment):
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    await harness.deliver_due()
    await configure(harness, appointment, *TYPES, receiver="emails", additionalEmailIds=[BOSS])
    await harness.handle(appointment.cancelled())
    await harness.deliver_due()

    assert harness.subjects(BOSS) == ["Cancelled"]


async def test_a_selected_user(harness, new_appointment):
    """Another user of the account gets the mails of the setting; the assigned user gets none twice."""
    appointment = new_appointment()
    boss = User(id=new_id(), sequence=1, name="Bea Boss", email=BOSS)
    await harness.handle(*appointment.surrounding_events)
    await harness.handle(UserChanged(account_id=appointment.account_id, state=boss))
    await configure(harness, appointment, "confirmation", selectedUsers=[boss.id, appointment.host])
    await book_move_cancel(harness, appointment)

    assert harness.subjects(BOSS) == ["Confirmed"]
    assert harness.subjects(HUGO) == ["Confirmed", "Moved", "Cancelled"]


async def test_other_channels_decide_nothing(harness, new_appointment):
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events)
    [setting] = await configure(harness, appointment, "confirmation", additionalEmailIds=[BOSS])
    await change(harness, appointment, setting, channel="sms", is_active=False)
    await harness.handle(appointment.booked())
    await harness.deliver_due()

    assert [mail["To"] for mail in harness.mails()] == ["Ada <ada@example.com>"]


async def test_settings_are_deleted_with_their_calendar(harness, new_appointment):
    """A deleted calendar shows no settings; its tombstone deletes them and their addresses."""
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events)
    await configure(harness, appointment, "confirmation", additionalEmailIds=[BOSS])
    calendar = appointment.state.calendar_id
    deleted = CalendarDeleted(
        account_id=appointment.account_id,
        state=Gone(id=calendar, sequence=2, deleted_at=appointment.state.date_added),
    )
    await harness.handle(deleted)
    assert await get_calendar_location(harness.db, appointment.account_id, calendar) is None
    async with harness.db.transaction() as db:
        await service.tombstones["calendars"](db, calendar)

    for table in ("notification_setting", "addressee"):
        assert await harness.db.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_an_address_is_deleted_with_its_calendar(harness, new_appointment):
    """Also from the message that was refused there."""
    appointment = new_appointment(host=None)
    await harness.fault("reply:550 5.1.1 No such user", rcpt=BOSS)
    await harness.handle(*appointment.surrounding_events)
    await configure(harness, appointment, "confirmation", additionalEmailIds=[BOSS])
    await harness.handle(appointment.booked())
    await harness.deliver_due()
    assert await harness.db.fetchval("SELECT count(*) FROM message WHERE address = $1", BOSS) == 1
    async with harness.db.transaction() as db:
        await service.tombstones["calendars"](db, appointment.state.calendar_id)

    assert await harness.db.fetchval("SELECT count(*) FROM message WHERE address = $1", BOSS) == 0


async def test_the_settings_at_the_time_of_sending_apply(harness, new_appointment):
    """Switched off while the mail waits for its contact: it counts as notified, and why is visible."""
    appointment = new_appointment(host=None)
    await harness.handle(appointment.calendar(), appointment.location(), appointment.booked())
    await harness.deliver_due()
    [setting] = await configure(harness, appointment, "confirmation")
    await change(harness, appointment, setting, is_active=False)
    await harness.handle(appointment.contact())
    await harness.deliver_due()

    assert harness.mails() == []
    assert await harness.db.fetchval("SELECT status FROM message") == "switched_off"
    await harness.handle(appointment.cancelled())
    await harness.deliver_due()
    assert harness.subjects(ADA) == ["Cancelled"]
    assert len(await harness.announced()) == 1


def test_the_first_setting_that_applies_gives_the_wording():
    """A setting for another receiver never does."""
    first, other = Wording("first"), Wording("other")
    rules = NotificationRules(
        active=(
            NotificationRule("assignedUser", "confirmation", other),
            NotificationRule("contact", "confirmation", first),
            NotificationRule("contact", "confirmation", other),
        )
    )

    def wording(role, kind="booked"):
        return rules.wording(kind, role, "x", confirmed=True)

    assert (wording("contact"), wording("user")) == (first, other)
    assert wording("contact", "cancelled") == Wording()
    assert wording("addressee") is None


def test_values_are_not_searched_for_placeholders():
    """A contact's name that looks like a placeholder is inserted unchanged."""
    values = {"contact.name": "{{location.name}}", "location.name": "Main Street"}
    assert fill("{{contact.name}}, {{ location.name }}", values) == "{{location.name}}, Main Street"
    assert unknown_placeholders(" ".join(f"{{{{ {name} }}}}" for name in PLACEHOLDERS)) == []


@pytest.mark.parametrize("text", ["{{7*7}}", "{{contact}}", "{{ contact.name }}{{x}}", "{{}}"])
def test_unknown_placeholders_are_found(text):
    assert len(unknown_placeholders(text)) == 1
