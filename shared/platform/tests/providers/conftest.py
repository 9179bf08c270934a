"""A small world for these tests: our database, the simulated Zoom, and browsers that click through."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import RawTestServer
from pydantic import SecretStr

from hoop_platform.clock import Clock
from hoop_platform.config import Settings
from hoop_platform.db.database import Database
from hoop_platform.ids import new_id
from hoop_platform.kafka.global_table import GlobalTables
from hoop_platform.providers.authorization import (
    AuthorizationResult,
    Callback,
    Identify,
    Identity,
    begin_authorization,
    finish_authorization,
)
from hoop_platform.providers.errors import ProviderDown
from hoop_platform.providers.oauth import OAuthProvider
from hoop_platform.providers.provider_accounts import ProviderAccount
from hoop_platform.providers.revocation import GRANT, revoke_grants
from hoop_platform.providers.tokens import access_token
from hoop_platform.reconcile.effects import performing
from hoop_platform.reconcile.worker import Worker
from hoop_platform.runtime import Runtime
from hoop_platform.secrets import Cipher, new_key
from simulators.zoom import simulator as zoom
from simulators.zoom.knobs import SCOPES
from simulators.zoom.simulator import ZoomSimulator

REDIRECT = "http://127.0.0.1:8080/integrations/zoom/callback"


@dataclass(frozen=True)
class World:
    """Everything an authorization needs, and shorthands for what tests do with it."""

    http: ClientSession
    database: Database
    key: str
    cipher: Cipher
    sim: ZoomSimulator
    provider: OAuthProvider
    account_id: str
    now: datetime
    identify: Identify

    def at(self, **changes: Any) -> "World":
        """The same world, seen from another process, account, time or set of settings."""
        return replace(self, **changes)

    def later(self, **time: float) -> "World":
        return self.at(now=self.now + timedelta(**time))

    async def begin(self, owner_id: str, **options: Any) -> str:
        async with self.database.transaction() as db:
            begun = await begin_authorization(
                db,
                self.cipher,
                self.provider,
                account_id=self.account_id,
                owner_kind="user",
                owner_id=owner_id,
                redirect_uri=REDIRECT,
                now=self.now,
                **options,
            )
        return begun.url

    async def consent(self, url: str, *, user: str = "ada@example.com") -> Callback:
        """What the user's browser brings back from the provider."""
        async with self.http.get(url, params={"user": user}, allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            query = parse_qs(urlsplit(answer.headers["Location"]).query)
        return Callback(*(query.get(name, [None])[0] for name in ("state", "code", "error", "iss")))

    async def finish(self, callback: Callback) -> AuthorizationResult:
        return await finish_authorization(
            self.http,
            self.database,
            self.cipher,
            self.provider,
            callback,
            identify=self.identify,
            now=self.now,
        )

    async def connect(self, owner_id: str, *, user: str = "ada@example.com") -> ProviderAccount:
        """The whole way, as a user who says yes to everything."""
        callback = await self.consent(await self.begin(owner_id), user=user)
        return (await self.finish(callback)).connection

    async def token(self, connection: ProviderAccount, **options: Any) -> str:
        return await access_token(
            self.database,
            self.http,
            self.cipher,
            self.provider,
            account_id=self.account_id,
            connection_id=connection.id,
            now=self.now,
            **options,
        )

    def refreshes(self) -> int:
        """How often the provider was asked to refresh, whatever it answered."""
        return sum(
            1
            for entry in self.sim.log.entries
            if entry.path == "/oauth/token" and entry.body["grant_type"] == "refresh_token"
        )

    async def shown(self, connection_id: str) -> tuple[str, str | None]:
        """Status and reason as they are stored."""
        row = await self.database.fetchrow(
            "SELECT status, reason FROM provider_account WHERE id = $1", connection_id
        )
        assert row is not None
        return row["status"], row["reason"]

    async def announced(self) -> list[tuple[int, str]]:
        """Sequence and status of everything announced, in order."""
        rows = await self.database.fetch(
            "SELECT sequence, convert_from(body, 'UTF8')::jsonb AS said FROM outbox ORDER BY id"
        )
        return [(row["sequence"], row["said"]["state"]["status"]) for row in rows]

    async def revoke_grants(self) -> None:
        """What the service's worker does after a disconnection."""
        settings = Settings(
            database_url=self.database.dsn, kafka_bootstrap="127.0.0.1:1", data_key=self.key
        )
        runtime = Runtime(
            name="meetings",
            settings=settings,
            db=self.database,
            clock=Clock(),
            http=self.http,
            tables=GlobalTables("127.0.0.1:1"),
            group=None,
        )
        revoking = performing(runtime, revoke_grants(lambda *_: self.provider))
        worker = Worker(self.database, {GRANT: revoking})
        while await worker.once():
            pass

    async def credentials(self) -> int:
        count: int = await self.database.fetchval("SELECT count(*) FROM credential")
        return count


@pytest.fixture
async def sim() -> AsyncIterator[ZoomSimulator]:
    async with zoom.serve() as simulator:
        yield simulator


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@dataclass(frozen=True)
class Listener:
    """A token endpoint that says yes to everything and keeps what it heard."""

    url: str
    heard: list[tuple[dict[str, str], dict[str, str]]]


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    heard: list[tuple[dict[str, str], dict[str, str]]] = []

    async def token(request: web.BaseRequest) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        heard.append((dict(request.headers), form))
        return web.json_response({"access_token": "a", "expires_in": 60})

    async with RawTestServer(token) as server:
        yield Listener(str(server.make_url("/token")), heard)


@pytest.fixture
def provider(sim: ZoomSimulator) -> OAuthProvider:
    return OAuthProvider(
        name="zoom",
        authorize_url=f"{sim.url}/oauth/authorize",
        token_url=f"{sim.url}/oauth/token",
        revoke_url=f"{sim.url}/oauth/revoke",
        client_id="hoop-zoom",
        client_secret=SecretStr("hoop-zoom-secret"),
        needs=tuple(SCOPES),
        refusals={"4738": "waiting_for_admin"},
    )


async def whose_zoom(sim: ZoomSimulator, http: ClientSession, token: str) -> Identity:
    headers = {"Authorization": f"Bearer {token}"}
    async with http.get(f"{sim.url}/v2/users/me", headers=headers) as answer:
        if answer.status != 200:
            raise ProviderDown(f"users/me answered {answer.status}")
        me = await answer.json()
    return Identity(me["id"], me["email"])


@pytest.fixture
async def world(new_database, sim, http, provider) -> World:
    key = new_key()
    return World(
        http=http,
        database=await new_database(),
        key=key,
        cipher=Cipher.from_key(key),
        sim=sim,
        provider=provider,
        account_id=new_id(),
        now=Clock().now(),
        identify=partial(whose_zoom, sim),
    )
