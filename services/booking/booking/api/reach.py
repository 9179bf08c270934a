"""A key may be confined to locations: what stands elsewhere is as unknown to it as what never was."""

from shared.errors import NotFound
from shared.http import Call


def reach(call: Call, location_id: str | None) -> None:
    """Go on where the key may: `location_id` is where the thing stands, None if there is none."""
    if location_id is None or not reaches(call, location_id):
        raise NotFound


def reaches(call: Call, location_id: str) -> bool:
    """Whether the key may see what stands in this location of its account."""
    allowed = call.caller.location_ids
    return not allowed or location_id in allowed
