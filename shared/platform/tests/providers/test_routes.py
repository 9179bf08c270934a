"""The four routes of a provider, over real HTTP: from the button to the page that says it worked."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer, unused_port
from aiokafka import ConsumerRecord

from hoop_events.accounts import ApiKey, ApiKeyChanged
from hoop_events.codec import attributes, body
from hoop_platform.auth import digest
from hoop_platform.clock import Clock
from hoop_platform.config import Settings
from hoop_platform.errors import invalid
from hoop_platform.http.app import application
from hoop_platform.ids import new_id
from hoop_platform.kafka.global_table import GlobalTables
from hoop_platform.providers.routes import Integration
from hoop_platform.providers.schemas import UpdateConnection
from hoop_platform.runtime import Runtime
from local.testing.service import open_admission
from local.testing.tenant import UNLIMITED

HEADERS = {"Version": "2021-07-28"}


class ZoomSettings(UpdateConnection):
    waiting_room: bool | None = None


@dataclass
class Edge:
    """The application with Zoom's routes, two accounts that may call it, and a known user."""

    url: str
    http: ClientSession
    runtime: Runtime
    keys: dict[str, str]
    user_id: str
    changes: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, *, key: str = "ours", **options: Any) -> Any:
        headers = {**HEADERS, "Authorization": f"Bearer {self.keys[key]}"}
        return await self.http.request(method, self.url + path, headers=headers, **options)

    async def connect(self, **body: Any) -> dict[str, Any]:
        wanted = {"userId": self.user_id, **body}
        async with await self.ask("POST", "/integrations/zoom/connect", json=wanted) as answer:
            assert answer.status == 200, await answer.text()
            said: dict[str, Any] = await answer.json()
            return said


@pytest.fixture
async def edge(world, http) -> AsyncIterator[Edge]:
    port = unused_port()
    tables, keys = GlobalTables("127.0.0.1:1"), {}
    for name, account_id, scope in (
        ("ours", world.account_id, "calendars.write"),
        ("reader", world.account_id, "calendars.readonly"),
        ("theirs", new_id(), "calendars.write"),
    ):
        keys[name] = issue(tables, account_id, scope)
    url = f"http://127.0.0.1:{port}"
    settings = Settings(
        database_url=world.database.dsn,
        kafka_bootstrap="127.0.0.1:1",
        public_url=url,
        data_key=world.key,
    )
    runtime = Runtime(
        name="meetings",
        settings=settings,
        db=world.database,
        clock=Clock(),
        http=http,
        tables=tables,
        group=None,
    )
    created = Edge(url, http, runtime, keys, new_id())
    app = application(
        [(r, runtime) for r in zoom_of(world, created).routes()],
        admission=open_admission(tables, Clock()),
        ready=_ready,
    )
    async with TestServer(app, port=port):
        yield created


def zoom_of(world, edge):
    """What a service writes to have these routes."""

    async def known(call, owner_id):
        if owner_id != edge.user_id:
            raise invalid("userId", "unknown_user", "is not a user of this account")

    async def then(db, connection, now):
        edge.changes.append(connection.status)

    return Integration(
        name="zoom",
        owner_kind="user",
        provider=lambda _: world.provider,
        identify=lambda runtime, token: world.identify(runtime.http, token),
        check_owner=known,
        reconfigure=ZoomSettings,
        then=then,
    )


async def test_from_the_button_to_the_page(edge):
    """The authorize URL leads to the provider, the provider back to us, and then it is connected."""
    begun = await edge.connect()

    async with edge.http.get(begun["authorizeUrl"]) as page:
        text = await page.text()

    assert (page.status, page.content_type) == (200, "text/html")
    assert page.url.path == "/integrations/zoom/callback"
    assert "Connected to ada@example.com" in text
    assert edge.changes == ["active"]


async def test_the_page_tells_nobody(edge, world):
    """The address of the page holds a code: no referrer, no cache, no script, no frame, no token."""
    begun = await edge.connect()

    async with edge.http.get(begun["authorizeUrl"]) as page:
        text = await page.text()

    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    [grant] = world.sim.oauth.tokens.grants
    for secret in (grant.refresh_token, *world.sim.oauth.tokens.access, page.url.query["state"]):
        assert secret not in text


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?code=x",
        "?state=x",
        "?state=unknown&code=x",
        "?state=a&state=b&code=x",
        "?state=a&code=x&code=y",
        "?state=a&code=x&error=access_denied",
        "?state=a&error=access_denied&error_description=<script>alert(1)</script>",
        "?state=%3Cscript%3E&code=%3Cscript%3E",
        "?state=a&code=x&iss=https://evil.example",
    ],
)
async def test_a_callback_that_we_did_not_request(edge, world, query):
    """400, a page without an echo, and nothing stored."""
    async with edge.http.get(f"{edge.url}/integrations/zoom/callback{query}") as page:
        text = await page.text()

    assert (page.status, page.content_type) == (400, "text/html")
    assert "script" not in text
    assert await world.database.fetchval("SELECT count(*) FROM provider_account") == 0


async def test_a_callback_that_says_both_yes_and_no(edge, world):
    """The state is good, the parameters are not: 400, and the connection still waits."""
    begun = await edge.connect()
    state = re.search(r"state=([^&]+)", begun["authorizeUrl"])[1]
    url = f"{edge.url}/integrations/zoom/callback?state={state}&code=x&error=access_denied"

    async with edge.http.get(url) as page:
        assert page.status == 400

    assert await world.shown(begun["connectionId"]) == ("pending", "awaiting_authorization")


async def test_a_label_with_markup_in_it(edge, world):
    """What a provider calls its user is text, not HTML."""
    begun = await edge.connect()

    async with edge.http.get(begun["authorizeUrl"], params={"user": "<b>@example.com"}) as page:
        text = await page.text()

    assert "&lt;b&gt;@example.com" in text
    assert "<b>" not in text


async def test_the_provider_is_down_when_the_browser_comes_back(edge, world):
    """503, not a refusal; the owner begins again."""
    begun = await edge.connect()
    fault = {"match": {"path": "/oauth/token"}, "do": "status:503"}
    async with edge.http.post(f"{world.sim.url}/_sim/faults", json=fault):
        pass

    async with edge.http.get(begun["authorizeUrl"]) as page:
        assert page.status == 503

    assert (await world.shown(begun["connectionId"]))[0] == "pending"


async def test_back_to_where_the_owner_came_from(edge):
    """303 to our own origin, with the connection's id and status."""
    begun = await edge.connect(returnTo=f"{edge.url}/settings?tab=zoom")
    async with edge.http.get(begun["authorizeUrl"], allow_redirects=False) as provider:
        callback = provider.headers["Location"]

    async with edge.http.get(callback, allow_redirects=False) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == (
            f"{edge.url}/settings?tab=zoom&connectionId={begun['connectionId']}&status=active"
        )


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/settings",
        "javascript:alert(1)",
        "{url}@evil.example/",
        "{url}.evil.example/",
        "{url}\\@evil.example",
        "{url}/#fragment",
        "{url}/\r\nSet-Cookie: a=b",
        "ftp://127.0.0.1/",
    ],
)
async def test_no_link_of_ours_leads_to_strangers(edge, elsewhere):
    """422 for every other origin, however it is spelled."""
    body = {"userId": edge.user_id, "returnTo": elsewhere.replace("{url}", edge.url)}

    async with await edge.ask("POST", "/integrations/zoom/connect", json=body) as answer:
        assert answer.status == 422
        assert (await answer.json())["details"][0]["path"] == "returnTo"


async def test_an_owner_that_the_account_does_not_have(edge, world):
    """422 from the service's own check; no connection is made."""
    async with await edge.ask(
        "POST", "/integrations/zoom/connect", json={"userId": new_id()}
    ) as answer:
        assert answer.status == 422

    assert await world.database.fetchval("SELECT count(*) FROM provider_account") == 0


async def test_commands_need_the_scope(edge):
    """A key that may only read neither connects nor disconnects."""
    path = f"/integrations/zoom/{new_id()}"
    for method, where, sent in (
        ("POST", "/integrations/zoom/connect", {"userId": edge.user_id}),
        ("PUT", path, {}),
        ("DELETE", path, None),
    ):
        async with await edge.ask(method, where, key="reader", json=sent) as answer:
            assert answer.status == 403


async def test_disconnecting_twice_answers_the_same(edge, world):
    """200 both times; the provider was not asked yet: a worker revokes the grant."""
    begun = await connected(edge)
    asked = len(world.sim.log.entries)

    answers = []
    for _ in range(2):
        async with await edge.ask("DELETE", path_of(begun)) as answer:
            assert answer.status == 200
            answers.append((await answer.json())["connection"])

    assert answers[0] == answers[1]
    assert answers[0]["status"] == "disconnected"
    assert len(world.sim.log.entries) == asked
    assert await world.database.fetchval("SELECT count(*) FROM work WHERE kind = 'grant'") == 1
    assert edge.changes == ["active", "disconnected"]


async def test_settings_are_changed_one_by_one(edge):
    """What is not sent stays; nothing sent changes and announces nothing."""
    begun = await connected(edge)

    async with await edge.ask("PUT", path_of(begun), json={"waitingRoom": True}) as answer:
        first = (await answer.json())["connection"]
    async with await edge.ask("PUT", path_of(begun), json={}) as answer:
        second = (await answer.json())["connection"]

    assert first["settings"] == {"waitingRoom": True}
    assert second == first
    assert edge.changes == ["active", "active"]


async def test_waiting_for_the_administrator(edge, world):
    """Zoom only shows "Request access": the user says so; the callback, when it comes, connects."""
    begun = await edge.connect()

    async with await edge.ask("PUT", path_of(begun), json={"waitingForAdmin": True}) as answer:
        said = (await answer.json())["connection"]
    assert (said["status"], said["reason"]) == ("pending", "waiting_for_admin")

    async with edge.http.get(begun["authorizeUrl"]):
        assert await world.shown(begun["connectionId"]) == ("active", None)
    async with await edge.ask("PUT", path_of(begun), json={"waitingForAdmin": True}) as answer:
        assert answer.status == 409


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_foreign_connection_answers_like_an_unknown_one(edge, method):
    """Same status, same body, trace id aside."""
    begun = await connected(edge)
    options = {"json": {}} if method == "PUT" else {}

    said = []
    for path in (
        path_of(begun),
        path_of({"connectionId": new_id()}),
        "/integrations/zoom/nonsense",
    ):
        async with await edge.ask(method, path, key="theirs", **options) as answer:
            said.append((answer.status, {**await answer.json(), "traceId": ""}))

    assert said[0][0] == 404
    assert said[0] == said[1] == said[2]


async def connected(edge):
    begun = await edge.connect()
    async with edge.http.get(begun["authorizeUrl"]) as page:
        assert page.status == 200
    return begun


def path_of(begun):
    return f"/integrations/zoom/{begun['connectionId']}"


async def _ready():
    return {}


def issue(tables, account_id, scope):
    """A key as the accounts service announces it; answers the key itself."""
    key = f"hoop_{new_id()}_secret"
    state = ApiKey(
        id=key.split("_")[1], sequence=1, digest=digest(key), scopes=(scope,), limits=UNLIMITED
    )
    event = ApiKeyChanged(account_id=account_id, state=state)
    headers = attributes(
        event_id=new_id(),
        source=event.source,
        type=event.type,
        subject=event.subject,
        sequence=1,
        account_id=account_id,
        dataschema=event.dataschema(),
        time=Clock().now(),
        traceparent=None,
    )
    position = ("api-keys", 0, 0, 0, 0)
    subject = event.subject.encode()
    tables.keys.apply(ConsumerRecord(*position, subject, body(event), None, 0, 0, headers))
    return key
