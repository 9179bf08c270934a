"""Speaks to Zoom's REST API, as its reference for meetings has it: the token's own user's meetings."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC
from typing import Any
from urllib.parse import urlsplit

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientHandlerType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ServerDisconnectedError,
    StreamReader,
)
from pydantic import ValidationError

from hoop_platform.clock import Clock
from hoop_platform.providers.authorization import Identity
from hoop_platform.providers.errors import ProviderDown
from hoop_platform.providers.oauth import OAuthProvider
from meetings.config import Settings
from meetings.domain import Draft, Found, NotReached, ProviderTrouble, Unsure
from meetings.zoom.answers import (
    Answer,
    MeetingAnswer,
    PageAnswer,
    StartAnswer,
    UserAnswer,
    parsed,
    trouble_of,
)

LARGEST_ANSWER = 4 * 1024 * 1024
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
"""Without the scope to delete, meetings would outlive their appointments: all are needed."""

ENDED_GRANTS = {
    "4735": "reconnect_needed",  # the user left the Zoom account
    "4738": "waiting_for_admin",  # an administrator withdrew the approval
    "4741": "reconnect_needed",  # a newer authorization took this one's place
}
_MARK = re.compile(r"ref:([0-9a-v]{26})/([0-9]{1,9})")


def oauth(settings: Settings) -> OAuthProvider:
    """Zoom's authorization server. It takes the scopes from the app's registration."""
    base = settings.zoom_oauth_url
    return OAuthProvider(
        name="zoom",
        authorize_url=f"{base}/oauth/authorize",
        token_url=f"{base}/oauth/token",
        client_id=settings.zoom_client_id,
        client_secret=settings.zoom_client_secret,
        needs=SCOPES,
        refusals=ENDED_GRANTS,
        timeout=settings.zoom_timeout,
    )


def mark(session: str, generation: int) -> str:
    """How we know our meetings again: Zoom has no key against making one twice."""
    return f"ref:{session}/{generation}"


class Zoom:
    """The adapter: the token's own user's meetings. See `meetings.domain.Adapter`."""

    def __init__(self, http: ClientSession, settings: Settings, clock: Clock) -> None:
        self._http = http
        self._base = settings.zoom_api_url
        self._clock = clock
        self._timeout = ClientTimeout(total=settings.zoom_timeout, connect=3)
        self.daily_limit = settings.zoom_daily_limit
        self._scheme = urlsplit(settings.zoom_oauth_url).scheme
        bases = (settings.zoom_oauth_url, settings.zoom_api_url)
        self._link_hosts = tuple(urlsplit(base).hostname or "" for base in bases)

    async def identify(self, token: str) -> Identity:
        """Whose token this is. Raises `ProviderDown` when Zoom does not say."""
        try:
            answer = await self._ask("GET", "/users/me", token, good=200)
            user = parsed(UserAnswer, answer)
        except ProviderTrouble as error:
            raise ProviderDown(f"zoom does not say who this is: {error}") from error
        return Identity(external_id=user.id, label=user.email)

    async def create(self, token: str, draft: Draft) -> Found:
        """Make it. The mark stands on the first line of `agenda`: lists cut the rest off."""
        body = {
            "topic": draft.topic,
            "type": 2,
            "start_time": draft.start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "timezone": draft.time_zone,
            "duration": draft.minutes,
            "agenda": f"{mark(draft.session, draft.generation)}\nBooked with Hoop.",
            "settings": {"use_pmi": False},
        }
        answer = await self._ask("POST", "/users/me/meetings", token, good=201, json=body)
        made = parsed(MeetingAnswer, answer)
        return Found(
            generation=draft.generation,
            external_id=str(made.id),
            join_url=self._own_link(made.join_url),
            topic=draft.topic,
            minutes=draft.minutes,
        )

    async def update(self, token: str, external_id: str, *, topic: str, minutes: int) -> None:
        body = {"topic": topic, "duration": minutes}
        await self._ask("PATCH", f"/meetings/{external_id}", token, good=204, json=body)

    async def delete(self, token: str, external_id: str) -> None:
        await self._ask("DELETE", f"/meetings/{external_id}", token, good=204)

    async def find(self, token: str, session: str) -> Sequence[Found]:
        """All scheduled meetings that carry the mark of this session."""
        found = []
        async for item in self._scheduled(token):
            said = _MARK.fullmatch(str(item.get("agenda") or "").partition("\n")[0].strip())
            if said and said[1] == session:
                found.append(self._found(item, int(said[2])))
        return found

    async def start_url(self, token: str, external_id: str) -> str:
        answer = await self._ask("GET", f"/meetings/{external_id}", token, good=200)
        link = self._own_link(parsed(StartAnswer, answer).start_url)
        if link is None:
            raise Unsure("zoom answered with a link that does not lead to it")
        return link

    async def _scheduled(self, token: str) -> AsyncIterator[dict[str, Any]]:
        asked = {"type": "scheduled", "page_size": str(PAGE_SIZE)}
        for _ in range(MOST_PAGES):
            answer = await self._ask("GET", "/users/me/meetings", token, good=200, params=asked)
            page = parsed(PageAnswer, answer)
            for item in page.meetings:
                yield item
            if not page.next_page_token:
                return
            asked["next_page_token"] = page.next_page_token
        raise Unsure("zoom lists meetings without end")

    def _found(self, item: dict[str, Any], generation: int) -> Found:
        try:
            meeting = MeetingAnswer.model_validate(item)
        except ValidationError:
            raise Unsure("zoom lists a meeting of ours that cannot be read") from None
        return Found(
            generation=generation,
            external_id=str(meeting.id),
            join_url=self._own_link(meeting.join_url),
            topic=meeting.topic,
            minutes=meeting.duration,
        )

    def _own_link(self, url: str) -> str | None:
        """The link, if it leads to Zoom itself, as the settings know it."""
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").lower()
        except ValueError:
            return None
        at_home = any(host == h or host.endswith(f".{h}") for h in self._link_hosts if h)
        plain = url.isascii() and url.isprintable() and parts.username is None and len(url) < 2000
        return url if at_home and plain and parts.scheme == self._scheme else None

    async def _ask(
        self,
        method: str,
        path: str,
        token: str,
        *,
        good: int,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer, if it has the one status that means success; else the trouble it means."""
        try:
            async with self._http.request(
                method,
                self._base + path,
                json=json,
                params=params,
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
                timeout=self._timeout,
                allow_redirects=False,
                middlewares=(_once,),
            ) as response:
                body = b"".join([chunk async for chunk in _limited(response.content)])
                answer = Answer(response.status, response.headers.copy(), body)
        except ClientConnectorError as error:
            raise NotReached(f"zoom cannot be reached: {type(error).__name__}") from error
        except (ClientError, TimeoutError, OSError) as error:
            raise Unsure(f"zoom did not answer: {type(error).__name__}") from error
        if answer.status != good:
            raise trouble_of(answer, now=self._clock.now())
        return answer


async def _once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Never twice: aiohttp repeats a DELETE whose connection broke, and nobody would have counted it."""
    try:
        return await handler(request)
    except ClientConnectorError:
        raise
    except (ClientOSError, ServerDisconnectedError) as error:
        raise Unsure(f"zoom did not answer: {type(error).__name__}") from error


async def _limited(content: StreamReader) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in content.iter_chunked(65_536):
        size += len(chunk)
        if size > LARGEST_ANSWER:
            raise Unsure("zoom's answer is far too long")
        yield chunk
