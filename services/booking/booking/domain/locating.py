"""Where an appointment takes place: as its client says, else as the settings of its host say."""

from booking.domain.calendars import Calendar, places_of
from booking.domain.patches import Patch
from hoop_events.booking import Appointment
from hoop_platform.errors import invalid


def located(
    after: Appointment, calendar: Calendar, host: str, patch: Patch, *, anew: bool
) -> Appointment:
    """The appointment where the patch wants it; else where it is.

    `anew`: it is given a place (another time, calendar or host), so what nobody has chosen yet
    follows the present settings. What only stays is not changed by what the settings say by now.
    """
    places = places_of(calendar, host)
    place_id, kind = after.meeting_location_id, after.meeting_location_type
    address = after.personal.address
    if patch.place_id is not None:
        if patch.place_id not in places:
            text = "is none of the locations of the calendar or its member"
            raise invalid("meetingLocationId", "unknown_location", text, tuple(places))
        place_id, (kind, address) = patch.place_id, places[patch.place_id]
    elif patch.place is not None:
        address = address if kind == patch.place else ""
        place_id, kind = "default", patch.place
    elif patch.address and patch.address != address:
        place_id, kind = "default", "custom"
    elif anew and kind == "default":
        kind, address = places["default"]
    if patch.address is not None:
        address = patch.address
    if anew and place_id not in places:
        place_id = "default"
    place = {
        "meeting_location_id": place_id,
        "meeting_location_type": kind,
        "personal": after.personal.model_copy(update={"address": address}),
    }
    return after.model_copy(update=place)
