"""The Zoom adapter: Zoom's authorization server, and its REST API for the token's own user's meetings."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from hoop_events.meeting_locations import location_types_of
from hoop_platform.providers.authorization import Identity
from hoop_platform.providers.bounded_http import ServerResponse, send
from hoop_platform.providers.errors import OutcomeUnknown, ProviderDown, ProviderError
from hoop_platform.providers.oauth import OAuthProvider
from hoop_platform.reconcile.observed_state import ExternalObject
from hoop_platform.reconcile.plan import LostCalls
from hoop_platform.reconcile.reconciler import CallContext, Existing
from hoop_platform.runtime import Runtime
from meetings.config import MeetingsSettings
from meetings.domain.sessions import DesiredMeeting
from meetings.providers.conference import Conference
from meetings.providers.zoom_responses import (
    ZoomMeeting,
    ZoomMeetingPage,
    ZoomStartLink,
    ZoomUser,
    error_of,
    parse_body,
)

LARGEST_RESPONSE = 4 * 1024 * 1024  # bytes
PAGE_SIZE = 300
MOST_PAGES = 40

SCOPES = (
    "meeting:write:meeting",
    "meeting:update:meeting",
    "meeting:delete:meeting",
    "meeting:read:meeting",
    "meeting:read:list_meetings",
    "user:read:user",
)
"""All are needed: without the scope to delete, meetings would outlive their appointments."""

ENDED_GRANTS = {
    "4735": "reconnect_needed",  # the user left the Zoom account
    "4738": "waiting_for_admin",  # an administrator withdrew the approval
    "4741": "reconnect_needed",  # a newer authorization replaced this one
}
_MARK = re.compile(r"ref:([0-9a-v]{26})/([0-9]{1,9})")


def oauth_provider(settings: MeetingsSettings) -> OAuthProvider:
    """Zoom's authorization server. The scopes are those of the app's registration at Zoom."""
    base = settings.zoom_oauth_url
    return OAuthProvider(
        name="zoom",
        authorize_url=f"{base}/oauth/authorize",
        token_url=f"{base}/oauth/token",
        revoke_url=f"{base}/oauth/revoke",
        client_id=settings.zoom_client_id,
        client_secret=settings.zoom_client_secret,
        needs=SCOPES,
        refusals=ENDED_GRANTS,
        timeout=settings.zoom_timeout,
    )


def mark(subject: str, generation: int) -> str:
    """The mark by which our meetings are found again: Zoom has no idempotency key for a create."""
    return f"ref:{subject.partition('.')[0]}/{generation}"


class ZoomAdapter:
    """The meetings of the token's own user. Implements `MeetingAdapter`."""

    lost_calls: LostCalls = "found"

    def __init__(self, runtime: Runtime[MeetingsSettings]) -> None:
        settings = runtime.settings
        self.oauth = oauth_provider(settings)
        self.daily_limit = settings.zoom_daily_limit
        self._http = runtime.http
        self._clock = runtime.clock
        self._base_url = settings.zoom_api_url
        self._timeout = settings.zoom_timeout
        self._link_scheme = urlsplit(settings.zoom_oauth_url).scheme
        base_urls = (settings.zoom_oauth_url, settings.zoom_api_url)
        self._link_hosts = tuple(urlsplit(url).hostname or "" for url in base_urls)

    async def identify(self, token: str) -> Identity:
        """The Zoom user of a token. Raises `ProviderDown` when Zoom gives no usable response."""
        try:
            response = await self._request("GET", "/users/me", token, expected=200)
            user = parse_body(ZoomUser, response)
        except ProviderError as error:
            raise ProviderDown(f"zoom does not say who this is: {error}") from error
        return Identity(external_id=user.id, label=user.email)

    def intent(self, _: CallContext, generation: int, /) -> ExternalObject:
        """Nothing is known before the call: Zoom chooses the id."""
        return ExternalObject(generation, "intended")

    async def create(
        self, call: CallContext, desired: DesiredMeeting, intended: ExternalObject
    ) -> Existing:
        """Create the meeting. The mark is the first line of `agenda`: Zoom's lists cut the rest off."""
        body = {
            "topic": desired.topic,
            "type": 2,
            "start_time": desired.start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "timezone": desired.time_zone,
            "duration": desired.minutes,
            "agenda": f"{mark(call.subject, intended.generation)}\nBooked with Hoop.",
            "settings": {"use_pmi": False},
        }
        response = await self._request(
            "POST", "/users/me/meetings", call.token, expected=201, json=body
        )
        created = parse_body(ZoomMeeting, response)
        return self._existing(created.id, created.join_url, desired.content, intended.generation)

    async def update(
        self, call: CallContext, desired: DesiredMeeting, external: ExternalObject
    ) -> Existing:
        """Change the topic and the length. The join link stays the same."""
        body = {"topic": desired.topic, "duration": desired.minutes}
        path = f"/meetings/{external.external_id}"
        await self._request("PATCH", path, call.token, expected=204, json=body)
        return Existing(str(external.external_id), desired.content, external.data)

    async def delete(self, call: CallContext, external: ExternalObject) -> None:
        """Delete the meeting. Raises `ObjectNotFound` when it does not exist any more."""
        path = f"/meetings/{external.external_id}"
        await self._request("DELETE", path, call.token, expected=204)

    async def find(self, call: CallContext) -> Sequence[Existing]:
        """All scheduled meetings that carry the mark of this session."""
        session, found = call.subject.partition(".")[0], []
        async for item in self._scheduled(call.token):
            first_line = str(item.get("agenda") or "").partition("\n")[0].strip()
            marked = _MARK.fullmatch(first_line)
            if marked and marked[1] == session:
                found.append(self._listed_meeting(item, int(marked[2])))
        return found

    async def start_url(self, token: str, external_id: str) -> str:
        response = await self._request("GET", f"/meetings/{external_id}", token, expected=200)
        link = self._verified_link(parse_body(ZoomStartLink, response).start_url)
        if link is None:
            raise OutcomeUnknown("zoom's response holds a link that does not lead to zoom")
        return link

    async def _scheduled(self, token: str) -> AsyncIterator[dict[str, Any]]:
        """The user's scheduled meetings as Zoom lists them, over all pages."""
        query = {"type": "scheduled", "page_size": str(PAGE_SIZE)}
        for _ in range(MOST_PAGES):
            response = await self._request(
                "GET", "/users/me/meetings", token, expected=200, params=query
            )
            page = parse_body(ZoomMeetingPage, response)
            for item in page.meetings:
                yield item
            if not page.next_page_token:
                return
            query["next_page_token"] = page.next_page_token
        raise OutcomeUnknown("zoom lists meetings without end")

    def _listed_meeting(self, item: dict[str, Any], generation: int) -> Existing:
        try:
            meeting = ZoomMeeting.model_validate(item)
        except ValidationError:
            raise OutcomeUnknown("zoom lists a meeting of ours that cannot be read") from None
        content = {"topic": meeting.topic, "minutes": meeting.duration}
        return self._existing(meeting.id, meeting.join_url, content, generation)

    def _existing(
        self, number: int, link: str, content: Mapping[str, Any], generation: int
    ) -> Existing:
        """A meeting of ours; without a verified link it may not be used."""
        verified = self._verified_link(link)
        data = {"joinUrl": verified} if verified else {}
        return Existing(str(number), content, data, generation, usable=verified is not None)

    def _verified_link(self, url: str) -> str | None:
        """The link if its host is one of Zoom's, as configured in the settings; else None."""
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").lower()
        except ValueError:
            return None
        at_zoom = any(host == h or host.endswith(f".{h}") for h in self._link_hosts if h)
        plain = url.isascii() and url.isprintable() and parts.username is None and len(url) < 2000
        return url if at_zoom and plain and parts.scheme == self._link_scheme else None

    async def _request(
        self,
        method: str,
        path: str,
        token: str,
        *,
        expected: int,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> ServerResponse:
        """The response, if it has the status `expected`. Raises the `ProviderError` of any other."""
        response = await send(
            self._http,
            "zoom",
            method,
            self._base_url + path,
            timeout=self._timeout,
            largest=LARGEST_RESPONSE,
            json=json,
            params=params,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
        )
        if response.status_code != expected:
            raise error_of(response, now=self._clock.now())
        return response


CONFERENCE = Conference(
    name="zoom",
    label="Zoom",
    location_types=location_types_of("zoom"),
    oauth=oauth_provider,
    adapter=ZoomAdapter,
)
