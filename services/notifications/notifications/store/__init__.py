"""What notifications remembers: whom it may write to, and what it has said, and how calendars want it said."""

from notifications.store.people import (
    Place,
    accounts_of,
    addressees,
    end_calendar,
    erase_receiver,
    forget_place,
    keep_calendar,
    keep_location,
    keep_person,
    location_of,
    person,
    scene,
    unknown_users,
)
from notifications.store.settings import (
    Setting,
    forget_settings,
    insert_setting,
    lock_calendar,
    rules,
    setting,
    settings,
    update_setting,
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
