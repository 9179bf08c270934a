"""Remembers seats, wishes, what was made at the provider, what was announced, and what was spent."""

from meetings.store.ledger import close_day, spend
from meetings.store.made import (
    abandon,
    database_time,
    doom,
    has_lease,
    intend,
    is_held,
    made_at,
    mark_gone,
    mark_missing,
    record_edit,
    record_made,
    transaction_time,
)
from meetings.store.seats import (
    access,
    add_person,
    existing,
    forget_seat,
    is_person,
    lock,
    outdated_places,
    remove_person,
    save_seat,
    save_wanted,
    seat,
    seats_at,
    wanted,
)
from meetings.store.told import Attempts, attempts, link, save_link
