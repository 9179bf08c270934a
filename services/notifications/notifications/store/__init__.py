"""What notifications remembers: whom it may write to, and what it has said."""

from notifications.store.people import (
    Place,
    accounts_of,
    erase_receiver,
    forget_place,
    keep_calendar,
    keep_location,
    keep_person,
    person,
    scene,
)
from notifications.store.threads import (
    Key,
    forget_appointment,
    forget_wishes,
    keep_appointment,
    lock_appointment,
    save_message,
    save_thread,
    threads,
    waited,
)
