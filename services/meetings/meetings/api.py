"""Speaks HTTP: connect Zoom for a user, and ask why an appointment has no link."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from hoop_events.base import Id, Moment
from hoop_events.booking import Meeting, MeetingProvider, MeetingState
from hoop_platform.errors import NotFound, ScopeMissing, Unavailable
from hoop_platform.http.parse import Query
from hoop_platform.http.route import Call, Route
from hoop_platform.providers.authorization import Identity
from hoop_platform.providers.errors import NotConnected, ProviderDown
from hoop_platform.providers.routes import Integration
from hoop_platform.providers.tokens import access_token
from hoop_platform.runtime import Runtime
from meetings import handlers, store
from meetings.domain import Place, ProviderTrouble, Seat
from meetings.zoom import Zoom, oauth

MAY_START = "calendars/events.write"


class WhyQuery(Query):
    start_url: bool = False
    """Also answer the host's own way in. It opens the meeting as its host: pass it on, keep it not."""


class WhyReply(BaseModel):
    """How it stands with an appointment's link, and with the attempts to make it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    appointment_id: str
    """As it was asked for."""
    session: Id
    provider: MeetingProvider | None
    state: MeetingState
    reason: str | None = None
    message: str | None = None
    join_url: str | None = None
    expected_at: Moment | None = None
    attempts: int = 0
    next_attempt_at: Moment | None = None
    last_error: str | None = None
    start_url: str | None = None


async def identify(runtime: Runtime, token: str) -> Identity:
    """Ask Zoom whose token this is."""
    return await Zoom(runtime.http, runtime.settings, runtime.clock).identify(token)


async def check_user(call: Call, user_id: str) -> None:
    """Refuse a user that the account does not have; one made a moment ago is waited for."""
    db = call.runtime.db
    if await store.is_person(db, call.account_id, user_id):
        return
    await call.runtime.catch_up()
    if not await store.is_person(db, call.account_id, user_id):
        raise NotFound


async def why(call: Call) -> WhyReply:
    """Say what is known of the link of an appointment."""
    if call.query.start_url and not call.caller.has_scope(MAY_START):
        raise ScopeMissing(f"The API key needs the scope {MAY_START}.")
    seat = await _seat(call)
    place = seat.place
    told = await store.link(call.runtime.db, place) if place else None
    meeting = told[0] if told and seat.occupies else _untold(seat)
    attempts = await store.attempts(call.runtime.db, place) if place else None
    reply = WhyReply(
        appointment_id=call.path["appointmentId"], session=seat.session, **meeting.model_dump()
    )
    if attempts is not None:
        reply.attempts = attempts.attempts
        reply.next_attempt_at = attempts.next_at
        reply.last_error = attempts.last_error
    if call.query.start_url and place is not None and meeting.state == "ready":
        reply.start_url = await _start_url(call.runtime, place, seat.host)
    return reply


async def _seat(call: Call) -> Seat:
    """The appointment's seat; 404 for an unknown id, another account's, or another location's."""
    who = (call.account_id, call.row_id("appointmentId"))
    found = await store.seat(call.runtime.db, *who)
    if found is None:
        await call.runtime.catch_up()
        found = await store.seat(call.runtime.db, *who)
    if found is None:
        raise NotFound
    call.reach(found.location_id)
    return found


def _untold(seat: Seat) -> Meeting:
    """Before the first attempt has said anything, a seat that takes a link is waiting for it."""
    waiting = seat.place is not None and seat.occupies
    return Meeting.model_validate(
        {"provider": seat.provider, "state": "pending" if waiting else "none"}
    )


async def _start_url(runtime: Runtime, place: Place, host: str) -> str | None:
    """Fresh from Zoom, for this answer only: it is neither stored nor logged."""
    access = await store.access(runtime.db, place.account_id, place.provider, host)
    made = await store.made_at(runtime.db, place)
    live = [
        m for m in made if m.state == "live" and access and m.connection_id == access.connection_id
    ]
    if access is None or not live:
        return None
    try:
        token = await access_token(
            runtime.db,
            runtime.http,
            runtime.cipher,
            oauth(runtime.settings),
            account_id=place.account_id,
            connection_id=access.connection_id,
            now=runtime.clock.now(),
        )
        zoom = Zoom(runtime.http, runtime.settings, runtime.clock)
        return await zoom.start_url(token, str(live[0].external_id))
    except NotConnected:
        return None
    except (ProviderTrouble, ProviderDown):
        raise Unavailable(headers={"Retry-After": "5"}) from None


INTEGRATION = Integration(
    name="zoom",
    owner_kind="user",
    provider=lambda runtime: oauth(runtime.settings),
    identify=identify,
    check_owner=check_user,
    then=handlers.follow_connection,
)

routes = (
    *INTEGRATION.routes(),
    Route(
        "GET",
        "/integrations/zoom/meetings/{appointmentId}",
        why,
        scope="calendars/events.readonly",
        query=WhyQuery,
        reply=WhyReply,
        summary="Why an appointment has (no) Zoom link, and what was tried",
    ),
)
