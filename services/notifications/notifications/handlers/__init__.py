"""What notifications does: on an event, on the result of a delivery, on a change of its settings."""

from notifications.handlers.settings import add_settings, change_setting
from notifications.handlers.telling import (
    KIND,
    PROVIDER,
    end_calendar,
    forget_appointment,
    forget_contact,
    forget_person,
    forget_place,
    forget_user,
    keep_name,
    note_appointment,
    note_calendar,
    note_contact,
    note_delivered,
    note_doubtful,
    note_failed,
    note_location,
    note_refused,
    note_user,
    take_step,
)
