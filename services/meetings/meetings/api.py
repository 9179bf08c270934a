"""The HTTP API: connecting Zoom for a user, and the status of an appointment's meeting link."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from hoop_events.base import Id, Moment
from hoop_events.booking import Meeting, MeetingProvider, MeetingState
from hoop_platform.errors import NotFound, ScopeMissing, Unavailable
from hoop_platform.http.parse import Query
from hoop_platform.http.route import AnyCall, Call, Route
from hoop_platform.providers.errors import NotConnected, ProviderDown, ProviderError
from hoop_platform.providers.routes import Integration
from hoop_platform.providers.tokens import access_token
from hoop_platform.reconcile.observed_state import ObservedState
from hoop_platform.runtime import Runtime
from meetings import handlers
from meetings.config import MeetingsSettings
from meetings.domain.sessions import MeetingKey, SessionMember
from meetings.providers.conference import Conference
from meetings.providers.registry import PROVIDERS
from meetings.store import sessions, users
from meetings.store.meetings import get_progress

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


async def check_user(call: AnyCall, user_id: str) -> None:
    """Raise `NotFound` for a user that the account does not have."""
    runtime = call.runtime
    found = await runtime.known(lambda: users.get_user(runtime.db, call.account_id, user_id))
    if found is None:
        raise NotFound("userId")


async def get_meeting_link(call: Call[None, MeetingLinkQuery]) -> MeetingLinkReply:
    """The status of an appointment's meeting link."""
    if call.query.start_url and not call.caller.has_scope(START_URL_SCOPE):
        raise ScopeMissing(f"The API key needs the scope {START_URL_SCOPE}.")
    db, member = call.runtime.db, await _find_member(call)
    key = member.key
    progress = await get_progress(db, key) if key else None
    announced = progress.announced if progress and member.occupies else None
    meeting = announced or _not_announced(member)
    reply = MeetingLinkReply(
        appointment_id=call.path["appointmentId"], session=member.session, **meeting.model_dump()
    )
    if progress is not None:
        reply.attempts = progress.attempts
        reply.next_attempt_at = progress.next_at
        reply.last_error = progress.last_error
        if call.query.start_url and key is not None and meeting.state == "ready":
            reply.start_url = await _start_url(call.runtime, key, progress.observed)
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


async def _start_url(
    runtime: Runtime[MeetingsSettings], key: MeetingKey, observed: ObservedState
) -> str | None:
    """A fresh start link for this response only; None when the host's connection has no meeting."""
    account, live = observed.account, observed.live
    if account is None or live is None:
        return None
    conference = PROVIDERS[key.provider]
    try:
        token = await access_token(
            runtime.db,
            runtime.http,
            runtime.cipher,
            conference.oauth(runtime.settings),
            account_id=key.account_id,
            connection_id=account.connection_id,
            now=runtime.clock.now(),
        )
        return await conference.adapter(runtime).start_url(token, str(live.external_id))
    except NotConnected:
        return None
    except (ProviderError, ProviderDown):
        raise Unavailable(headers={"Retry-After": "5"}) from None


def _routes(conference: Conference) -> list[Route]:
    """The routes of one provider: to connect a user, and to ask for a meeting's status."""
    integration = Integration(
        name=conference.name,
        owner_kind="user",
        provider=lambda runtime: conference.oauth(runtime.settings),
        identify=lambda runtime, token: conference.adapter(runtime).identify(token),
        check_owner=check_user,
        then=handlers.on_connection_changed,
    )
    status = Route(
        "GET",
        f"/integrations/{conference.name}/meetings/{{appointmentId}}",
        get_meeting_link,
        scope="calendars/events.readonly",
        query=MeetingLinkQuery,
        reply=MeetingLinkReply,
        summary=f"Get {conference.label} meeting status",
    )
    return [*integration.routes(), status]


def meeting_routes() -> list[Route]:
    """The routes of all providers."""
    return [route for conference in PROVIDERS.values() for route in _routes(conference)]


routes = meeting_routes()
