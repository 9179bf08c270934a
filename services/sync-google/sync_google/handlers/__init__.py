"""Does: one function for each event, each change of a connection, each finished list or attempt."""

from sync_google.handlers.appointments import follow_appointment, forget_appointment, wish
from sync_google.handlers.connections import (
    CONNECTION,
    follow_calendar,
    follow_connection,
    forget_calendar,
)
from sync_google.handlers.pulled import Listed, Next, take_in
from sync_google.handlers.pushed import lose_access, say_failed
