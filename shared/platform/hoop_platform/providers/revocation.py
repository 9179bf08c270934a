"""Revoking grants: a disconnection ends with one last call to the provider, once nobody uses the grant.

The call is an effect of the reconciler, desired in the transaction that disconnects: it is made after the
commit, and again after a crash. Until then the sealed tokens are kept, for this call alone.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hoop_platform.db.database import Tx
from hoop_platform.providers import credentials
from hoop_platform.providers.credentials import StoredCredential
from hoop_platform.providers.errors import ProviderDown
from hoop_platform.providers.oauth import OAuthProvider, revoke
from hoop_platform.providers.provider_accounts import ProviderAccount
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.reconcile.outcome import Done, Failed, Later, Outcome
from hoop_platform.reconcile.work import desire
from hoop_platform.runtime import Runtime
from hoop_platform.secrets import Unsealable

GRANT = "grant"
"""The kind of desired state: the grant of a credential that no connection uses is revoked."""
LONGEST_TRY = timedelta(days=7)
"""After this the tokens are deleted, whatever has become of the grant."""

OAuthOf = Callable[[Runtime[Any], str], OAuthProvider]
Revoke = Callable[[Runtime[Any], Claimed], Awaitable[Outcome]]


async def desire_revocation(db: Tx, connection: ProviderAccount, *, now: datetime) -> None:
    """Have the grant of a connection that is being disconnected revoked, unless others use it.

    Its provider user is that of the connection's other calls, so a call on its way ends before.
    """
    assert connection.credential_id is not None
    assert connection.external_id is not None
    await desire(
        db,
        DesiredState(
            account_id=connection.account_id,
            kind=GRANT,
            subject=connection.credential_id,
            provider=connection.provider,
            provider_user=connection.external_id,
            due_start=now,
            desired={"id": connection.credential_id, "connection": connection.id},
        ),
    )


def revoke_grants(oauth: OAuthOf) -> Revoke:
    """The effect that revokes grants at the provider whose OAuth this is, for `Service.reconciles`."""

    async def revoke_grant(runtime: Runtime[Any], claimed: Claimed) -> Outcome:
        """Revoke the grant if no connection uses it, also of another account; then delete its tokens.

        Raises `ProviderDown`, until `LONGEST_TRY` is over.
        """
        state = claimed.desired_state
        user = (state.provider, state.provider_user)
        delete = partial(credentials.delete_unused_credentials, provider_user=user)
        found = await credentials.get_revocable_credential(runtime.db, state.account_id, *user)
        provider = oauth(runtime, state.provider)
        if found is None or provider.revoke_url is None:
            return Done(record=partial(delete, account_id=state.account_id))
        lease = await credentials.lease_credential(
            runtime.db, found, length=timedelta(seconds=3 * provider.timeout)
        )
        if lease is None:
            return Later("the tokens are being refreshed")
        try:
            await _revoke(runtime, provider, found, lease)
        except Unsealable as error:
            return Failed(str(error), record=delete)
        except ProviderDown as down:
            if runtime.clock.now() < state.due_start + LONGEST_TRY:
                raise
            return Failed(str(down), record=delete)
        # The provider has one grant for its user: what other accounts keep of it is void as well.
        return Done(record=delete)

    return revoke_grant


async def _revoke(
    runtime: Runtime[Any], provider: OAuthProvider, found: StoredCredential, lease: str
) -> None:
    token = found.open(runtime.cipher).refresh
    try:
        await revoke(runtime.http, provider, token=token)
    except ProviderDown:
        await credentials.postpone_refresh(runtime.db, found, lease, pause=timedelta())
        raise
