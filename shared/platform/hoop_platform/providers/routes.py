"""The HTTP routes of connections, for every provider: connect, callback, update, disconnect."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from hoop_platform.db.database import Tx
from hoop_platform.errors import Conflict, ConnectFailed, NotFound, invalid
from hoop_platform.http.route import AnyCall, Call, Reply, Route
from hoop_platform.providers import provider_accounts
from hoop_platform.providers.authorization import (
    Callback,
    Identity,
    OnConnected,
    begin_authorization,
    finish_authorization,
)
from hoop_platform.providers.callback_page import callback_page, redirect_page
from hoop_platform.providers.errors import ProviderDown
from hoop_platform.providers.oauth import OAuthProvider
from hoop_platform.providers.provider_accounts import OwnerKind, ProviderAccount
from hoop_platform.providers.schemas import (
    CallbackQuery,
    Connect,
    ConnectionBody,
    ConnectionReply,
    ConnectReply,
    ConnectUser,
    UpdateConnection,
)
from hoop_platform.providers.status import disconnect, set_status
from hoop_platform.runtime import Runtime
from hoop_platform.telemetry import log

SCOPE = "calendars.write"


async def _no_changes(_: Tx, __: ProviderAccount, ___: datetime) -> None:
    """No further changes."""


async def _no_checks(_: AnyCall, __: ProviderAccount) -> None:
    """No further checks."""


@dataclass(frozen=True)
class Integration:
    """What differs between the routes of two providers."""

    name: str
    owner_kind: OwnerKind
    provider: Callable[[Runtime[Any]], OAuthProvider]
    identify: Callable[[Runtime[Any], str], Awaitable[Identity]]
    """Requests the owner of an access token from the provider; raises `ProviderDown`."""
    check_owner: Callable[[AnyCall, str], Awaitable[None]]
    """Raises for an owner (`userId`, `calendarId`) that the account does not have."""
    connect: type[Connect] = ConnectUser
    reconfigure: type[UpdateConnection] = UpdateConnection
    check_change: Callable[[AnyCall, ProviderAccount], Awaitable[None]] = _no_checks
    """Raises for settings that name what the account does not have."""
    then: OnConnected = _no_changes
    """Further changes in the transaction in which a connection is connected, changed or ended."""

    def routes(self) -> list[Route]:
        """The four operations of `/integrations/{name}`."""
        base, one = f"/integrations/{self.name}", f"/integrations/{self.name}/{{connectionId}}"
        return [
            Route(
                "POST",
                f"{base}/connect",
                self._connect,
                scope=SCOPE,
                body=self.connect,
                reply=ConnectReply,
                keyed=False,
                summary=f"Connect {self.name}",
                description="Send the user to `authorizeUrl`.",
                refusals=(NotFound,),
                examples={"An account": {f"{self.owner_kind}Id": "06gvsomeidofours000000000g"}},
            ),
            Route(
                "GET",
                f"{base}/callback",
                self._callback,
                scope=None,
                query=CallbackQuery,
                summary=f"{self.name.capitalize()} callback",
                description="The provider redirects the browser here; the response is a page.",
                media="text/html",
            ),
            Route(
                "PUT",
                one,
                self._change,
                scope=SCOPE,
                body=self.reconfigure,
                reply=ConnectionReply,
                keyed=False,
                summary=f"Update {self.name} connection",
                refusals=(Conflict,),
                examples={"Nothing": {}},
            ),
            Route(
                "DELETE",
                one,
                self._disconnect,
                scope=SCOPE,
                reply=ConnectionReply,
                keyed=False,
                summary=f"Disconnect {self.name}",
                description="Its tokens are used for one more call at most, which revokes the grant at"
                " the provider unless another connection uses it; then they are deleted.",
            ),
        ]

    async def _connect(self, call: Call[Connect]) -> ConnectReply:
        wanted = call.body.model_dump(
            mode="json", by_alias=True, exclude={"return_to"}, exclude_none=True
        )
        owner_id = wanted.pop(f"{self.owner_kind}Id")
        _check_return(call.body.return_to, call.runtime.settings.public_url)
        await self.check_owner(call, owner_id)
        async with call.runtime.db.transaction() as db:
            authorization = await begin_authorization(
                db,
                call.runtime.cipher,
                self.provider(call.runtime),
                account_id=call.account_id,
                owner_kind=self.owner_kind,
                owner_id=owner_id,
                settings=wanted,
                redirect_uri=f"{call.runtime.settings.public_url}/integrations/{self.name}/callback",
                return_to=call.body.return_to,
                now=call.now,
            )
        return ConnectReply(
            authorize_url=authorization.url, connection_id=authorization.connection.id
        )

    async def _callback(self, call: Call[None, CallbackQuery]) -> Reply:
        """A page for the person who connected; the URL's code is used up, and no referrer is sent."""
        runtime: Runtime[Any] = call.runtime

        async def identify(_: object, access_token: str) -> Identity:
            return await self.identify(runtime, access_token)

        try:
            finished = await finish_authorization(
                runtime.http,
                runtime.db,
                runtime.cipher,
                self.provider(runtime),
                _callback(call.query),
                identify=identify,
                now=call.now,
                then=self.then,
            )
        except ConnectFailed as refused:
            return callback_page(refused.message, status=400)
        except ProviderDown as down:
            log.warning("connect failed", provider=self.name, error=str(down))
            return callback_page(
                f"{self.name} does not answer right now; begin again later.", status=503
            )
        connection = finished.connection
        if finished.return_to is not None:
            return redirect_page(finished.return_to, connection)
        return callback_page(f"Connected to {connection.label}. You can close this window.")

    async def _change(self, call: Call[UpdateConnection]) -> ConnectionReply:
        wanted = call.body.model_dump(
            mode="json", by_alias=True, exclude_unset=True, exclude={"waiting_for_admin"}
        )
        async with call.runtime.db.transaction() as db:
            found = await self._find(db, call)
        await self.check_change(call, found)
        async with call.runtime.db.transaction() as db:
            before = await self._find(db, call)
            if before.status == "disconnected":
                raise Conflict("The connection was ended; connect again.")
            after = await provider_accounts.update_provider_account(
                db, before, settings={**before.settings, **wanted}, now=call.now
            )
            if call.body.waiting_for_admin is not None:
                after = await _wait_for_admin(db, after, call.body.waiting_for_admin, now=call.now)
            if after != before:
                await self.then(db, after, call.now)
        return _connection_reply(after)

    async def _disconnect(self, call: Call) -> ConnectionReply:
        """Idempotent. The grant is revoked after the commit, by the service's worker."""
        async with call.runtime.db.transaction() as db:
            before = await self._find(db, call)
            after = await disconnect(db, before, now=call.now)
            if after != before:
                await self.then(db, after, call.now)
        return _connection_reply(after)

    async def _find(self, db: Tx, call: AnyCall) -> ProviderAccount:
        connection = await provider_accounts.lock_provider_account(
            db, call.account_id, call.id("connectionId")
        )
        if connection is None or connection.provider != self.name:
            raise NotFound
        return connection


async def _wait_for_admin(
    db: Tx, connection: ProviderAccount, waiting: bool, *, now: datetime
) -> ProviderAccount:
    if connection.status != "pending":
        raise Conflict("Only a connection that is pending can wait for an administrator.")
    reason = "waiting_for_admin" if waiting else "awaiting_authorization"
    return await set_status(db, connection, status="pending", reason=reason, now=now)


def _callback(query: CallbackQuery) -> Callback:
    """The parameters, each at most once (RFC 6749, section 3.1)."""
    if any(len(values) > 1 for values in (query.state, query.code, query.error, query.iss)):
        raise ConnectFailed("A parameter was given twice.")
    if query.code and query.error:
        raise ConnectFailed("The callback has both a code and an error.")

    def only(values: tuple[str, ...]) -> str | None:
        return values[0] if values else None

    return Callback(only(query.state), only(query.code), only(query.error), only(query.iss))


def _check_return(return_to: str | None, public_url: str) -> None:
    """Refuse a return address of another origin: the API must not be an open redirect."""
    if return_to is None:
        return
    plain = return_to.isascii() and return_to.isprintable() and not set(return_to) & set(" \\#")
    if not plain or urlsplit(return_to)[:2] != urlsplit(public_url)[:2]:
        raise invalid("returnTo", "foreign_origin", "must be on the public URL's own origin")


def _connection_reply(connection: ProviderAccount) -> ConnectionReply:
    return ConnectionReply(connection=ConnectionBody.model_validate(connection))
