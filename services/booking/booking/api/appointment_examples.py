"""Bodies that may be sent to the operations on appointments and holds, for the API's document."""

from collections.abc import Mapping
from typing import Any

Bodies = Mapping[str, Mapping[str, Any]]

_WHO = {
    "calendarId": "06gvtdrgepradfongt4fpt6dls",
    "locationId": "06gvtdred9psbfjhmlcujqtqf8",
    "contactId": "06gvtdred9psbfjhmle6q87a6s",
    "startTime": "2027-03-01T09:00:00-05:00",
}
BOOKING: Bodies = {
    "As long as the calendar's appointments are": _WHO,
    "With somebody, somewhere": {
        **_WHO,
        "endTime": "2027-03-01T09:30:00-05:00",
        "title": "First visit",
        "assignedUserId": "06gvtdred9psbfjhmlcvcn5b6o",
        "address": "1 Main Street",
        "toNotify": False,
    },
    "A time that was held": {**_WHO, "holdId": "06gvtdrgp9o5j3uf61896j6sv4"},
    "A series": {**_WHO, "rrule": "FREQ=WEEKLY;BYDAY=MO,WE;COUNT=8"},
}
CHANGE: Bodies = {
    "Move it": {"startTime": "2027-03-01T10:00:00-05:00"},
    "Cancel it": {"appointmentStatus": "cancelled"},
    "Rename it": {"title": "Second opinion"},
    "Nothing": {},
}
HOLD: Bodies = {
    "For ten minutes": {"startTime": "2027-03-01T09:00:00-05:00"},
    "For a minute, with somebody": {
        "startTime": "2027-03-01T09:00:00-05:00",
        "assignedUserId": "06gvtdred9psbfjhmlcvcn5b6o",
        "ttlSeconds": 60,
    },
}
