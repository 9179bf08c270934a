"""The whole service on real Kafka: events are handled once, old ones are dropped, and mails go."""

import asyncio

import pytest

from hoop_platform.config import SettingsMissing
from local.testing.events import publish
from local.testing.service import running
from notifications.__main__ import service
from notifications.config import NotificationsSettings
from simulators.mail import simulator as mail

PLAIN = {"smtp_tls": "none", "mail_from": "Hoop <appointments@hoop.example>"}


async def until(true, seconds=30):
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


async def test_events_become_mails(new_database, kafka_bootstrap, new_appointment):
    """Each event sent twice and an old one late: one mail per occasion and receiver.

    Other tests publish on the same topics; only the mails of this appointment are looked at.
    """
    database, appointment = await new_database("notifications"), new_appointment()
    booked = appointment.booked()
    moved = appointment.moved(appointment.state.start_time.replace(hour=20))

    def mails():
        shown = [message.as_json() for message in sink.messages]
        return [m for m in shown if m["headers"]["X-Hoop-Appointment"] == appointment.state.id]

    async with mail.serve() as sink:
        host, _, port = sink.smtp.partition(":")
        where = {"smtp_host": host, "smtp_port": int(port), **PLAIN}
        async with running(service, database=database, kafka_bootstrap=kafka_bootstrap, **where):
            await publish(kafka_bootstrap, booked, booked, *appointment.surrounding_events)
            await until(lambda: len(mails()) >= 2)
            await publish(kafka_bootstrap, moved, booked, moved)
            await until(lambda: len(mails()) >= 4)
            await publish(kafka_bootstrap, appointment.cancelled())
            await until(lambda: len(mails()) >= 6)
        messages = mails()

    found = {(m["to"][0], m["headers"]["X-Hoop-Occasion"]) for m in messages}
    session = appointment.state.session
    occasions = (f"booked:{booked.state.session}", "rescheduled:2", f"cancelled:{session}")
    receivers = ("ada@example.com", "hugo@staff.example.com")
    assert found == {(who, occasion) for who in receivers for occasion in occasions}
    assert len(messages) == 6


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"mail_from": "Hoop <a@b.example>, eve@example.com"}, "MAIL_FROM"),
        ({"mail_from": "appointments@localhost"}, "MAIL_FROM"),
        ({"mail_from": "not an address"}, "MAIL_FROM"),
        ({"smtp_username": "hoop", "smtp_host": "mail.hoop.example"}, "SMTP_TLS"),
        ({"smtp_host": ""}, "SMTP_HOST"),
    ],
)
def test_invalid_settings_prevent_the_start(settings, problem):
    """The refusal names the setting: two senders, no domain, a password without TLS."""
    valid = {"database_url": "postgresql://x/y", "kafka_bootstrap": "x:1", "smtp_host": "127.0.0.1"}

    with pytest.raises(SettingsMissing) as refusal:
        NotificationsSettings.of("notifications", **{**valid, **PLAIN, **settings})

    assert problem in str(refusal.value)


def test_valid_settings():
    """A login on this machine needs no TLS; the sender is parsed."""
    valid = {"database_url": "postgresql://x/y", "kafka_bootstrap": "x:1"}
    for host in ("127.0.0.1", "localhost"):
        settings = NotificationsSettings.of(
            "notifications", smtp_host=host, smtp_username="hoop", **valid, **PLAIN
        )
        assert settings.sender.addr_spec == "appointments@hoop.example"
