"""What receivers are told, in their mailboxes: confirmations of requests, new places, every host, series."""

import asyncio
from datetime import timedelta

import icalendar
import pytest

from hoop_events.booking import Meeting
from hoop_platform.ids import new_id
from notifications.__main__ import service

ADA, HUGO = "ada@example.com", "hugo@staff.example.com"
HOUR = timedelta(hours=1)


def link(number=1):
    return Meeting(provider="zoom", state="ready", join_url=f"https://zoom.example/j/{number}")


def entries(mail):
    """The calendar entries in a mail."""
    part = next(p for p in mail.walk() if p.get_content_type() == "text/calendar")
    return icalendar.Calendar.from_ical(part.get_content()).walk("VEVENT")


def method(mail):
    part = next(p for p in mail.walk() if p.get_content_type() == "text/calendar")
    return str(icalendar.Calendar.from_ical(part.get_content())["METHOD"])


def text(mail, kind="plain"):
    return mail.get_body((kind,)).get_content()


async def test_a_request_and_its_confirmation(harness, new_appointment):
    """The second mail says that it is confirmed, and its calendar entry replaces the tentative one."""
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events, appointment.requested())
    await harness.deliver_due()
    await harness.handle(appointment.confirmed(link()))
    await harness.deliver_due()
    await harness.handle(appointment.updated(appointment_status="showed"))
    await harness.deliver_due()

    for who in (ADA, HUGO):
        assert harness.subjects(who) == ["Requested", "Confirmed"]
        first, second = [entries(mail)[0] for mail in harness.mails(who)]
        assert (first["STATUS"], second["STATUS"]) == ("TENTATIVE", "CONFIRMED")
        assert first["UID"] == second["UID"]
        assert first["SEQUENCE"] < second["SEQUENCE"]
        assert "this appointment is confirmed" in text(harness.mails(who)[1])


async def test_a_declined_request(harness, new_appointment):
    """It is not called a cancellation; calendar programs remove the tentative entry."""
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events, appointment.requested())
    await harness.deliver_due()
    await harness.handle(appointment.cancelled())
    await harness.deliver_due()

    for who in (ADA, HUGO):
        assert harness.subjects(who) == ["Requested", "Declined"]
        mail = harness.mails(who)[1]
        assert "this request has been declined" in text(mail)
        assert (method(mail), entries(mail)[0]["STATUS"]) == ("CANCEL", "CANCELLED")


@pytest.mark.parametrize(
    ("change", "sentence", "shown"),
    [
        ({"address": "New Street 2"}, "now takes place elsewhere", ("LOCATION", "New Street 2")),
        ({"title": "Second talk"}, "the details of this", ("SUMMARY", "Second talk")),
        ({"description": "Bring cake."}, "the details of this", ("DESCRIPTION", "Bring cake.")),
    ],
)
async def test_new_details(harness, new_appointment, change, sentence, shown):
    """One mail to each, whose calendar entry replaces the former; none when asked not to notify."""
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    await harness.deliver_due()
    await harness.handle(appointment.described(**change))
    await harness.deliver_due()
    await harness.handle(appointment.described(notify=False, address="Elsewhere"))
    assert await harness.deliver_due() == 0

    for who in (ADA, HUGO):
        assert harness.subjects(who) == ["Confirmed", "Changed"]
        before, after = [entries(mail)[0] for mail in harness.mails(who)]
        assert (before["UID"], before["SEQUENCE"] < after["SEQUENCE"]) == (after["UID"], True)
        assert after[shown[0]] == shown[1]
        assert sentence in text(harness.mails(who)[1])


async def test_no_text_is_kept_to_see_what_is_new(harness, new_appointment):
    """Of the place and the texts that were told, the threads keep digests."""
    appointment = new_appointment()
    await harness.handle(*appointment.surrounding_events, appointment.booked())
    await harness.handle(appointment.described(address="Secret Street 7"))
    await harness.deliver_due()
    await harness.handle(appointment.described(title="", description="", address=""))
    tables = ("thread", "external", "work", "appointment", "outbox")
    rows = [await harness.db.fetch(f"SELECT * FROM {table}") for table in tables]

    assert not any(word in repr(rows) for word in ("Secret", "First talk"))
    assert await harness.deliver_due() == 0


async def test_every_host_of_a_collective(harness, new_appointment):
    """The second host is told of the booking, of a move and of the cancellation, as the first."""
    appointment, second = new_appointment(), new_appointment()
    anna = second.user().state.model_copy(update={"email": "anna@staff.example.com"})
    anna_known = second.user().model_copy(
        update={"account_id": appointment.account_id, "state": anna}
    )
    hosts = (appointment.host, second.host)
    await harness.handle(*appointment.surrounding_events, anna_known)
    for event in (
        appointment.booked(hosts=hosts),
        appointment.moved(appointment.state.start_time + HOUR),
        appointment.cancelled(),
    ):
        await harness.handle(event)
        await harness.deliver_due()

    for who in (ADA, HUGO, "anna@staff"):
        assert harness.subjects(who) == ["Confirmed", "Moved", "Cancelled"]


async def handled_at_once(harness, *events):
    """Each event in a transaction of its own, as by the consumers of several partitions."""

    async def handle(event):
        await harness.handle(event)

    await asyncio.gather(*map(handle, events))


async def test_a_series_is_one_mail(harness, new_appointment):
    """With all dates and links, and an entry for each under its own UID; each change is one mail more."""
    series = new_appointment().as_series(5)
    await harness.handle(*series[0].surrounding_events)
    await handled_at_once(
        harness, *[each.booked(link(number)) for number, each in enumerate(series)]
    )
    await harness.deliver_due()
    await harness.handle(series[2].moved(series[2].state.start_time + HOUR, link(7)))
    await harness.deliver_due()
    await handled_at_once(harness, *[each.cancelled() for each in series])
    await harness.deliver_due()

    for who in (ADA, HUGO):
        mails = harness.mails(who)
        assert harness.subjects(who) == ["Confirmed", "Moved", "Cancelled"]
        assert "First talk, 5 dates from " in str(mails[0]["Subject"])
        assert [len(entries(mail)) for mail in mails] == [5, 5, 5]
        uids = {f"{each.state.id}0@google.com" for each in series}
        assert [{str(entry["UID"]) for entry in entries(mail)} for mail in mails] == [uids] * 3
        assert {method(mail) for mail in mails} == {"PUBLISH"}
        assert all(f"https://zoom.example/j/{number}" in text(mails[0]) for number in range(5))
        assert {str(entry["STATUS"]) for entry in entries(mails[2])} == {"CANCELLED"}
        assert len({str(mail["References"]) for mail in mails}) == 1
        assert {mail["X-Hoop-Series"] for mail in mails} == {series[0].state.series.master}
    assert [type_ for type_, _, _ in await harness.announced()] == ["NotificationSent"] * 6


async def test_a_series_whose_events_come_one_by_one(open_harness, new_appointment):
    """The worker runs; the mail waits for the other occurrences, and for their links."""
    series = new_appointment(host=None).as_series(3)
    pending = Meeting(provider="zoom", state="pending")
    async with open_harness(series_wait=0.5) as harness, harness.working():
        await harness.handle(*series[0].surrounding_events)
        for each in series:
            await harness.handle(each.booked(pending))
            await asyncio.sleep(0.1)
        for number, each in enumerate(series):
            await harness.handle(each.updated(meeting=link(number)))
            await asyncio.sleep(0.1)
        async with asyncio.timeout(10):
            while not harness.mails():
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)

        [mail] = harness.mails()
        assert [str(entry["URL"]) for entry in entries(mail)] == [
            f"https://zoom.example/j/{number}" for number in range(3)
        ]


async def test_links_of_a_series_that_come_late(open_harness, new_appointment):
    """All of them in one mail."""
    series = new_appointment(host=None).as_series(3)
    pending = Meeting(provider="zoom", state="pending")
    async with open_harness(link_wait=0) as harness:
        await harness.handle(*series[0].surrounding_events)
        await harness.handle(*[each.booked(pending) for each in series])
        await harness.deliver_due()
        await harness.handle(
            *[each.updated(meeting=link(number)) for number, each in enumerate(series)]
        )
        await harness.deliver_due()

        assert harness.subjects(ADA) == ["Confirmed", "Join link"]
        assert all(f"https://zoom.example/j/{n}" in text(harness.mails()[1]) for n in range(3))


async def test_the_tombstone_of_an_occurrence(harness, new_appointment):
    """What is known of the other occurrences stays; with the last one, the conversation goes."""
    series = new_appointment(host=None).as_series(2)
    await harness.handle(*series[0].surrounding_events, *[each.booked() for each in series])
    await harness.deliver_due()
    counts = []
    for each in series:
        async with harness.db.transaction() as db:
            await service.tombstones["appointments"](db, each.state.id)
        counts.append(
            [
                await harness.db.fetchval(f"SELECT count(*) FROM {table}")
                for table in ("appointment", "thread", "external", "work")
            ]
        )
    assert counts == [[1, 1, 1, 1], [0, 0, 0, 0]]


async def test_two_series_of_one_contact(harness, new_appointment):
    """Two conversations, each of its own."""
    first = new_appointment(host=None)
    second = new_appointment(
        account_id=first.account_id, contact_id=first.contact_id, host=None
    ).as_series(2)
    first_series = first.as_series(2)
    await harness.handle(*first.surrounding_events, *second[0].surrounding_events)
    await harness.handle(*[each.booked() for each in (*first_series, *second)])
    await harness.deliver_due()

    assert len(harness.mails()) == 2
    assert len({str(mail["References"]) for mail in harness.mails()}) == 2


async def test_a_series_of_another_account(harness, new_appointment):
    """The same ids in another account are another conversation."""
    series = new_appointment(host=None).as_series(2)
    stranger = new_id()
    await harness.handle(*series[0].surrounding_events)
    await harness.handle(series[0].booked())
    event = series[1].booked().model_copy(update={"account_id": stranger})
    await harness.handle(event)
    await harness.deliver_due()

    [mail] = harness.mails()
    assert len(entries(mail)) == 1


async def test_an_internationalised_domain(harness, new_appointment):
    """Shown in letters elsewhere, sent in ASCII: the envelope, the header, the calendar entry."""
    appointment = new_appointment(host=None)
    await harness.handle(
        appointment.calendar(),
        appointment.location(),
        appointment.contact(email="info@bücher.example", name="Ida, the “Informer” 📚"),
        appointment.booked(),
    )
    await harness.deliver_due()

    [message] = harness.sink.messages
    assert message.recipients == ["info@xn--bcher-kva.example"]
    [mail] = harness.mails()
    assert mail["To"].addresses[0].addr_spec == "info@xn--bcher-kva.example"
    assert mail["To"].addresses[0].display_name.replace(" ", "") == "Ida,the“Informer”📚"
    assert str(entries(mail)[0]["ATTENDEE"]) == "mailto:info@xn--bcher-kva.example"


async def test_directions_of_text_are_not_overridden(harness, new_appointment):
    """A title cannot make a subject or a summary read backwards."""
    appointment = new_appointment(host=None)
    await harness.handle(*appointment.surrounding_events)
    appointment.described(title="Pay \u202eexe.lacol\u2066 now")
    await harness.handle(appointment.booked())
    await harness.deliver_due()

    [mail] = harness.mails()
    assert "Pay exe.lacol now" in str(mail["Subject"])
    assert str(entries(mail)[0]["SUMMARY"]) == "Pay exe.lacol now"
