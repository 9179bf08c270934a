"""The HTTP API: connecting Zoom for a user, and the status of an appointment's meeting link."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from hoop_events.base import Id, Moment
from hoop_events.booking import Meeting, MeetingProvider, MeetingState
from hoop_platform.errors import NotFound, ScopeMissing, Unavailable
from hoop_platform.http.parse import Query
from hoop_platform.http.route import AnyCall, Call, Route
from hoop_platform.providers.authorization import Identity
from hoop_platform.providers.errors import NotConnected, ProviderDown, ProviderError
from hoop_platform.providers.routes import Integration
from hoop_platform.providers.tokens import access_token
from hoop_platform.runtime import Runtime
from meetings import handlers
from meetings.config import MeetingsSettings
from meetings.domain.plan import ObservedState
from meetings.domain.sessions import MeetingKey, SessionMember
from meetings.providers.zoom import ZoomAdapter, oauth_provider
from meetings.store import external_objects, links, sessions, users

START_URL_SCOPE = "calendars/events.write"


class MeetingLinkQuery(Query):
    start_url: bool = False
    """Also return the host's start link. It opens the meeting as its host: pass it on, do not store it."""


class MeetingLinkReply(BaseModel):
    """The status of an appointment's meeting link, and of the attempts to create it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    appointment_id: str
    """As in the path."""
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


async def identify_zoom_user(runtime: Runtime[MeetingsSettings], token: str) -> Identity:
    """The Zoom user of an access token, as Zoom names him."""
    return await ZoomAdapter(runtime.http, runtime.settings, runtime.clock).identify(token)


async def check_user(call: AnyCall, user_id: str) -> None:
    """Raise `NotFound` for a user that the account does not have."""
    runtime = call.runtime
    found = await runtime.known(lambda: users.get_user(runtime.db, call.account_id, user_id))
    if found is None:
        raise NotFound


async def get_meeting_link(call: Call[None, MeetingLinkQuery]) -> MeetingLinkReply:
    """The status of an appointment's meeting link."""
    if call.query.start_url and not call.caller.has_scope(START_URL_SCOPE):
        raise ScopeMissing(f"The API key needs the scope {START_URL_SCOPE}.")
    db, member = call.runtime.db, await _find_member(call)
    key = member.key
    link = await links.get_link(db, key) if key else None
    meeting = link[0] if link and member.occupies else _not_announced(member)
    attempts = await links.get_attempt_status(db, key) if key else None
    reply = MeetingLinkReply(
        appointment_id=call.path["appointmentId"], session=member.session, **meeting.model_dump()
    )
    if attempts is not None:
        reply.attempts = attempts.attempts
        reply.next_attempt_at = attempts.next_at
        reply.last_error = attempts.last_error
    if call.query.start_url and key is not None and meeting.state == "ready":
        reply.start_url = await _start_url(call.runtime, key, member.host)
    return reply


async def _find_member(call: AnyCall) -> SessionMember:
    """The appointment as a session member.

    Raises `NotFound` for an unknown id, and for one of an account or a location that the key may
    not see.
    """
    runtime, account_id = call.runtime, call.account_id
    appointment_id = call.row_id("appointmentId")
    found = await runtime.known(lambda: sessions.get_member(runtime.db, account_id, appointment_id))
    if found is None:
        raise NotFound
    call.reach(found.location_id)
    return found


def _not_announced(member: SessionMember) -> Meeting:
    """The meeting before the first announcement: pending, if the appointment can have one."""
    waiting = member.key is not None and member.occupies
    return Meeting.model_validate(
        {"provider": member.provider, "state": "pending" if waiting else "none"}
    )


async def _start_url(runtime: Runtime[MeetingsSettings], key: MeetingKey, host: str) -> str | None:
    """A fresh start link for this response only; None when the host's connection has no meeting."""
    account = await users.get_host_account(runtime.db, key.account_id, key.provider, host)
    objects = await external_objects.list_external_objects(runtime.db, key)
    live = ObservedState(account, objects).live
    if account is None or live is None:
        return None
    try:
        token = await access_token(
            runtime.db,
            runtime.http,
            runtime.cipher,
            oauth_provider(runtime.settings),
            account_id=key.account_id,
            connection_id=account.connection_id,
            now=runtime.clock.now(),
        )
        adapter = ZoomAdapter(runtime.http, runtime.settings, runtime.clock)
        return await adapter.start_url(token, str(live.external_id))
    except NotConnected:
        return None
    except (ProviderError, ProviderDown):
        raise Unavailable(headers={"Retry-After": "5"}) from None


INTEGRATION = Integration(
    name="zoom",
    owner_kind="user",
    provider=lambda runtime: oauth_provider(runtime.settings),
    identify=identify_zoom_user,
    check_owner=check_user,
    then=handlers.on_connection_changed,
)

routes = (
    *INTEGRATION.routes(),
    Route(
        "GET",
        "/integrations/zoom/meetings/{appointmentId}",
        get_meeting_link,
        scope="calendars/events.readonly",
        query=MeetingLinkQuery,
        reply=MeetingLinkReply,
        summary="Get Zoom meeting status",
    ),
)
