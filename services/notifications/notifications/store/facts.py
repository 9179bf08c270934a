"""What an attempt at a mail needs to know, read in one statement."""

from collections.abc import Sequence
from datetime import timedelta

from hoop_events.booking import Appointment
from hoop_platform.db.database import Database, Row
from notifications.domain.message import NotificationContext, Receiver
from notifications.domain.plan import MailFacts, ThreadFacts
from notifications.store.notification_settings import rules_of
from notifications.store.threads import thread_of


async def get_facts(
    db: Database, account_id: str, subject: str, *, link_wait: timedelta, series_wait: timedelta
) -> MailFacts | None:
    """The facts about a conversation; None when it does not exist (any more)."""
    rows = await db.fetch(
        """
        SELECT t.appointment_id, t.receiver_id, t.role, t.notified, t.expects_appointment, t.counted,
               t.pending_occasion, clock_timestamp() - t.pending_since AS pending_for,
               a.state, mail_settings(a.account_id, a.calendar_id) AS settings,
               calendar.name AS calendar, location.name AS location,
               location.time_zone AS location_zone, contact.name AS contact, host.name AS host,
               r.id AS known_id, r.name, r.email, r.time_zone, r.erased
          FROM thread AS t
          JOIN LATERAL (
               SELECT * FROM appointment AS a -- by its key, also before the table was analyzed
                WHERE a.account_id = t.account_id AND a.id = t.appointment_id OFFSET 0
               ) AS a ON true
          LEFT JOIN calendar ON (calendar.account_id, calendar.id) = (a.account_id, a.calendar_id)
          LEFT JOIN location ON (location.account_id, location.id) = (a.account_id, a.location_id)
          LEFT JOIN contact ON (contact.account_id, contact.id) = (a.account_id, a.contact_id)
          LEFT JOIN app_user AS host ON (host.account_id, host.id) = (a.account_id, a.user_id)
          LEFT JOIN LATERAL (
               SELECT c.* FROM contact AS c
                WHERE t.role = 'contact' AND (c.account_id, c.id) = (t.account_id, t.receiver_id)
                UNION ALL
               SELECT u.* FROM app_user AS u
                WHERE t.role IN ('user', 'colleague')
                  AND (u.account_id, u.id) = (t.account_id, t.receiver_id)
                UNION ALL
               SELECT e.account_id, e.id, e.name, e.email, e.time_zone, e.erased
                 FROM addressee AS e
                WHERE t.role = 'addressee' AND (e.account_id, e.id) = (t.account_id, t.receiver_id)
               ) AS r ON true
         WHERE t.account_id = $1 AND t.subject = $2
        """,
        account_id,
        subject,
    )
    if not rows:
        return None
    by_start = sorted(
        ((_thread_facts(row), row) for row in rows), key=lambda pair: pair[0].state.start_time
    )
    threads = [facts for facts, _ in by_start]
    return _facts(by_start[0][1], threads, link_wait, series_wait)


def _thread_facts(row: Row) -> ThreadFacts:
    return ThreadFacts(
        state=Appointment.model_validate(row["state"]),
        base=thread_of(row),
        counted=row["counted"],
        pending_occasion=row["pending_occasion"],
        pending_for=row["pending_for"] or timedelta(),
    )


def _facts(
    row: Row, threads: Sequence[ThreadFacts], link_wait: timedelta, series_wait: timedelta
) -> MailFacts:
    """`row`: of the first thread, for the receiver, the names, and the settings of the calendar."""
    return MailFacts(
        threads=threads,
        receiver=_receiver(row),
        context=NotificationContext(
            row["calendar"],
            row["location"],
            row["location_zone"],
            contact=row["contact"] or "",
            host=row["host"] or "",
        ),
        link_wait=link_wait,
        series_wait=series_wait,
        rules=rules_of(row["settings"]),
    )


def _receiver(row: Row) -> Receiver | None:
    if row["known_id"] is None:
        return None
    return Receiver(row["known_id"], row["name"], row["email"], row["time_zone"], row["erased"])
