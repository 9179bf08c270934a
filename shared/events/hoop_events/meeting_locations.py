"""Where an appointment can happen: the kinds of location, and the provider of each online one."""

from typing import Literal, NamedTuple

Provider = Literal["zoom", "teams", "gmeet"]


class LocationKind(NamedTuple):
    """One kind of location under the names that the API has for it.

    `kind`: of a calendar's location. `appointment_type`: the `meetingLocationType` of appointments.
    `member_type`: the deprecated one of team members. `provider`: who makes the link, if it is online.
    """

    kind: str
    appointment_type: str
    member_type: str
    provider: Provider | None = None


LOCATION_KINDS = (
    LocationKind("zoom_conference", "zoom", "zoom", "zoom"),
    LocationKind("google_conference", "google", "gmeet", "gmeet"),
    LocationKind("ms_teams_conference", "ms_teams", "teams", "teams"),
    LocationKind("custom", "custom", "custom"),
    LocationKind("inbound_call", "phone", "phone"),
    LocationKind("outbound_call", "phone", "phone"),
    LocationKind("physical", "address", "address"),
    LocationKind("booker", "booker", "booker"),
)
"""The one table of the names of locations and providers; an adapter for one is in its service."""

PROVIDERS_WITH_ADAPTER: frozenset[Provider] = frozenset({"zoom"})
"""The providers whose links a service of ours creates; a location of any other one cannot be chosen."""

APPOINTMENT_TYPE_OF_KIND = {each.kind: each.appointment_type for each in LOCATION_KINDS}
MEMBER_TYPE_OF_KIND = {each.kind: each.member_type for each in LOCATION_KINDS}
PROVIDER_OF_LOCATION_TYPE: dict[str, Provider] = {
    name: each.provider
    for each in LOCATION_KINDS
    if each.provider is not None
    for name in (each.kind, each.appointment_type, each.member_type)
}
"""By each name of an online location."""


def has_adapter(location_type: str) -> bool:
    """Whether a location of this name needs no link, or has one that a service of ours creates."""
    provider = PROVIDER_OF_LOCATION_TYPE.get(location_type)
    return provider is None or provider in PROVIDERS_WITH_ADAPTER


def location_types_of(provider: Provider) -> frozenset[str]:
    """All names of the locations whose link this provider makes."""
    found = PROVIDER_OF_LOCATION_TYPE.items()
    return frozenset(name for name, maker in found if maker == provider)


CONFERENCE_KINDS = tuple(each.kind for each in LOCATION_KINDS if each.provider is not None)
OTHER_KINDS = tuple(each.kind for each in LOCATION_KINDS if each.provider is None)
