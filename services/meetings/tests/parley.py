"""Parley, a fictional provider of online meetings: the whole of what a new provider takes.

Its rooms have ids that the caller chooses: the same `PUT` again changes nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr

from hoop_platform.providers.authorization import Identity
from hoop_platform.providers.bounded_http import send
from hoop_platform.providers.errors import (
    ObjectNotFound,
    OutcomeUnknown,
    ProviderDown,
    ProviderError,
    RateLimited,
    RequestRejected,
    TokenRejected,
)
from hoop_platform.providers.oauth import OAuthProvider
from hoop_platform.reconcile.observed_state import ExternalObject
from hoop_platform.reconcile.plan import LostCalls
from hoop_platform.reconcile.reconciler import CallContext, Existing
from hoop_platform.runtime import Runtime
from meetings.domain.sessions import DesiredMeeting
from meetings.providers.conference import Conference

REFUSALS = {401: TokenRejected, 404: ObjectNotFound, 422: RequestRejected}


class ParleyAdapter:
    """The rooms of the token's own user."""

    lost_calls: LostCalls = "repeated"
    daily_limit = None

    def __init__(self, url: str, runtime: Runtime[Any]) -> None:
        self.oauth = oauth_provider(url)
        self._url = url
        self._http, self._clock = runtime.http, runtime.clock

    async def identify(self, token: str) -> Identity:
        try:
            person = await self._request("GET", "/me", token)
        except ProviderError as error:
            raise ProviderDown("parley does not say who this is") from error
        return Identity(external_id=person["login"], label=person["login"])

    def intent(self, call: CallContext, generation: int, /) -> ExternalObject:
        room = f"{call.subject.partition('.')[0]}-{generation}"
        return ExternalObject(generation, "intended", external_id=room)

    async def create(
        self, call: CallContext, desired: DesiredMeeting, intended: ExternalObject
    ) -> Existing:
        room = str(intended.external_id)
        stored = await self._request("PUT", f"/rooms/{room}", call.token, desired.content)
        return Existing(room, desired.content, {"joinUrl": stored["url"]})

    async def update(
        self, call: CallContext, desired: DesiredMeeting, external: ExternalObject
    ) -> Existing:
        path = f"/rooms/{external.external_id}"
        stored = await self._request("PUT", path, call.token, desired.content)
        return Existing(str(external.external_id), desired.content, {"joinUrl": stored["url"]})

    async def delete(self, call: CallContext, external: ExternalObject) -> None:
        await self._request("DELETE", f"/rooms/{external.external_id}", call.token)

    async def find(self, call: CallContext) -> Sequence[Existing]:
        raise NotImplementedError

    async def start_url(self, token: str, external_id: str) -> str:
        room = await self._request("GET", f"/rooms/{external_id}", token)
        return f"{room['url']}?host"

    async def _request(
        self, method: str, path: str, token: str, json: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        response = await send(
            self._http,
            "parley",
            method,
            self._url + path,
            timeout=2,
            json=json,
            headers={"Authorization": f"Bearer {token}"},
        )
        text = f"parley responded {response.status_code}"
        if response.status_code == 429:
            raise RateLimited(text, response.retry_after(self._clock.now()))
        if refusal := REFUSALS.get(response.status_code):
            raise refusal(text)
        if response.status_code != 200:
            raise OutcomeUnknown(text)
        try:
            return dict(response.json())
        except (TypeError, ValueError) as error:
            raise OutcomeUnknown("parley's response cannot be read") from error


def oauth_provider(url: str) -> OAuthProvider:
    return OAuthProvider(
        name="parley",
        authorize_url=f"{url}/oauth/authorize",
        token_url=f"{url}/oauth/token",
        client_id="hoop-zoom",
        client_secret=SecretStr("hoop-zoom-secret"),
    )


def conference(url: str) -> Conference:
    return Conference(
        name="parley",
        label="Parley",
        location_types=frozenset({"parley"}),
        oauth=lambda _: oauth_provider(url),
        adapter=lambda runtime: ParleyAdapter(url, runtime),
    )
