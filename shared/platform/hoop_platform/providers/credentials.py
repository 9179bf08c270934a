"""The sealed tokens of one account at a provider, and the right to replace them.

Locks are taken in one order everywhere: connections (by id) before their credential.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hoop_platform.db.database import Database, Tx
from hoop_platform.ids import new_id
from hoop_platform.providers.oauth import Grant, OAuthProvider
from hoop_platform.providers.provider_accounts import ProviderAccount
from hoop_platform.secrets import Cipher, context


@dataclass(frozen=True)
class Tokens:
    """An opened credential. `repr` shows neither."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)


@dataclass(frozen=True)
class StoredCredential:
    """An active connection's credential as it was when it was read."""

    account_id: str
    id: str
    provider: str
    provider_user: str
    generation: int
    sealed: bytes = field(repr=False)
    fresh_until: datetime
    leased: bool
    """Somebody is asking the provider for new tokens right now."""
    resting: bool
    """The provider has just failed to answer; it is asked again a little later."""

    def open(self, cipher: Cipher) -> Tokens:
        """Raises `Unsealable` when the row was tampered with, or its key is gone."""
        return _open(cipher, self.sealed, self.account_id, self.provider, self.provider_user)


def _open(cipher: Cipher, sealed: bytes, *place: str) -> Tokens:
    return Tokens(**json.loads(cipher.open(sealed, aad=context(*place))))


def _seal(cipher: Cipher, tokens: Tokens, *place: str) -> bytes:
    plain = json.dumps({"access": tokens.access, "refresh": tokens.refresh})
    return cipher.seal(plain.encode(), aad=context(*place))


async def upsert_credential(
    db: Tx,
    cipher: Cipher,
    provider: OAuthProvider,
    grant: Grant,
    *,
    account_id: str,
    provider_user: str,
    now: datetime,
) -> str | None:
    """Store what a user has just granted; answers the credential's id.

    A grant without a refresh token goes on with the one we have of this provider_user (Google sends
    one with the first consent only). None when there is none either: such a grant would be dead
    within the hour, and nothing is stored.
    """
    place = (account_id, provider.name, provider_user)
    old = await db.fetchval(
        "SELECT sealed FROM credential"
        " WHERE account_id = $1 AND provider = $2 AND provider_user = $3 FOR UPDATE",
        *place,
    )
    refresh = grant.refresh_token or (_open(cipher, old, *place).refresh if old else None)
    if refresh is None:
        return None
    credential_id: str = await db.fetchval(
        """
        INSERT INTO credential AS k (account_id, provider, provider_user, id, sealed, scopes,
                                     fresh_until, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
        ON CONFLICT (account_id, provider, provider_user) DO UPDATE
           SET sealed = $5, scopes = $6, fresh_until = $7, updated_at = $8,
               generation = k.generation + 1,
               lease = NULL, leased_until = NULL, resting_until = NULL
        RETURNING id
        """,
        *place,
        new_id(),
        _seal(cipher, Tokens(grant.access_token, refresh), *place),
        sorted(provider.needed if grant.scopes is None else grant.scopes),
        grant.fresh_until(now),
        now,
    )
    return credential_id


async def has_credential(db: Tx, *, account_id: str, provider: str, provider_user: str) -> bool:
    """Whether we hold tokens of this account at the provider."""
    found: bool = await db.fetchval(
        "SELECT EXISTS (SELECT FROM credential"
        " WHERE account_id = $1 AND provider = $2 AND provider_user = $3)",
        account_id,
        provider,
        provider_user,
    )
    return found


async def get_credential(
    database: Database, account_id: str, connection_id: str
) -> StoredCredential | None:
    """The connection's credential; None unless the connection is active."""
    row = await database.fetchrow(
        """
        SELECT k.account_id, k.id, k.provider, k.provider_user, k.generation, k.sealed,
               k.fresh_until,
               coalesce(k.leased_until > clock_timestamp(), false) AS leased,
               coalesce(k.resting_until > clock_timestamp(), false) AS resting
          FROM provider_account c
          JOIN credential k ON k.account_id = c.account_id AND k.id = c.credential_id
         WHERE c.account_id = $1 AND c.id = $2
        """,
        account_id,
        connection_id,
    )
    return StoredCredential(**dict(row)) if row else None


async def lease_credential(
    database: Database, held: StoredCredential, *, length: timedelta
) -> str | None:
    """Take the right to refresh this generation, as a lease; None when another has or had it."""
    lease: str | None = await database.fetchval(
        """
        UPDATE credential
           SET lease = $4, leased_until = clock_timestamp() + $5::interval
         WHERE account_id = $1 AND id = $2 AND generation = $3
           AND coalesce(leased_until <= clock_timestamp(), true)
           AND coalesce(resting_until <= clock_timestamp(), true)
        RETURNING lease
        """,
        held.account_id,
        held.id,
        held.generation,
        new_id(),
        length,
    )
    return lease


async def update_tokens(
    database: Database, cipher: Cipher, held: StoredCredential, grant: Grant, *, now: datetime
) -> bool:
    """Store refreshed tokens, unless newer ones came in meanwhile; say whether they were stored.

    The lease is not asked for again: should it have run out, these tokens are still the ones that
    replaced the generation we read. A grant without a refresh token leaves the old one in force.
    """
    old = held.open(cipher)
    tokens = Tokens(grant.access_token, grant.refresh_token or old.refresh)
    status = await database.execute(
        """
        UPDATE credential
           SET sealed = $4, fresh_until = $5, generation = generation + 1, updated_at = $6,
               lease = NULL, leased_until = NULL, resting_until = NULL
         WHERE account_id = $1 AND id = $2 AND generation = $3
        """,
        held.account_id,
        held.id,
        held.generation,
        _seal(cipher, tokens, held.account_id, held.provider, held.provider_user),
        grant.fresh_until(now),
        now,
    )
    return status == "UPDATE 1"


async def postpone_refresh(
    database: Database, held: StoredCredential, lease: str, *, pause: timedelta
) -> None:
    """Give the lease back after a failure; nobody asks again before the pause is over."""
    await database.execute(
        """
        UPDATE credential
           SET lease = NULL, leased_until = NULL,
               resting_until = clock_timestamp() + $4::interval
         WHERE account_id = $1 AND id = $2 AND lease = $3
        """,
        held.account_id,
        held.id,
        lease,
        pause,
    )


async def is_leased(db: Tx, held: StoredCredential, lease: str) -> bool:
    """Whether the generation we read is still the last one and nobody else is refreshing it.

    Locks the credential. Only then does a refusal of its refresh token mean what it says: else
    another process has used the token, and has saved its successor or is about to.
    """
    row = await db.fetchrow(
        "SELECT generation, lease FROM credential WHERE account_id = $1 AND id = $2 FOR UPDATE",
        held.account_id,
        held.id,
    )
    return row is not None and (row["generation"], row["lease"]) == (held.generation, lease)


async def delete_unused_credential(db: Tx, account_id: str, credential_id: str) -> None:
    """Forget the tokens when the last connection has let go of them."""
    await db.execute(
        "SELECT FROM credential WHERE account_id = $1 AND id = $2 FOR UPDATE",
        account_id,
        credential_id,
    )
    await db.execute(
        """
        DELETE FROM credential AS k
         WHERE k.account_id = $1 AND k.id = $2
           AND NOT EXISTS (SELECT FROM provider_account c
                            WHERE c.account_id = $1 AND c.credential_id = $2)
        """,
        account_id,
        credential_id,
    )


async def get_last_refresh_token(db: Tx, cipher: Cipher, connection: ProviderAccount) -> str | None:
    """The refresh token of a locked connection that nobody else uses, to be revoked after it ends."""
    row = await db.fetchrow(
        """
        SELECT k.sealed, k.provider_user FROM credential k
         WHERE k.account_id = $1 AND k.id = $2
           AND NOT EXISTS (SELECT FROM provider_account c
                            WHERE c.account_id = $1 AND c.credential_id = $2 AND c.id <> $3)
        """,
        connection.account_id,
        connection.credential_id,
        connection.id,
    )
    if row is None:
        return None
    place = (connection.account_id, connection.provider, row["provider_user"])
    return _open(cipher, row["sealed"], *place).refresh
