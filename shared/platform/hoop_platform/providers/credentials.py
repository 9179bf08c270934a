"""Stored credentials: the sealed tokens of one user of a provider, and the lease to refresh them.

Locks are taken in one order everywhere: connections (by id) before their credential.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hoop_platform.db.database import Database, Tx
from hoop_platform.ids import new_id
from hoop_platform.providers.oauth import Grant, OAuthProvider
from hoop_platform.secrets import Cipher, context


@dataclass(frozen=True)
class Tokens:
    """An opened credential. `repr` shows neither."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)


@dataclass(frozen=True)
class StoredCredential:
    """The credential of an active connection when it was read."""

    account_id: str
    id: str
    provider: str
    provider_user: str
    generation: int
    sealed: bytes = field(repr=False)
    fresh_until: datetime
    leased: bool
    """A refresh is in progress."""
    resting: bool
    """A refresh failed a moment ago; the next one waits."""

    def open(self, cipher: Cipher) -> Tokens:
        """Raises `Unsealable` when the row was tampered with or its key was removed."""
        return _open(cipher, self.sealed, self.account_id, self.provider, self.provider_user)


def _open(cipher: Cipher, sealed: bytes, *aad: str) -> Tokens:
    return Tokens(**json.loads(cipher.open(sealed, aad=context(*aad))))


def _seal(cipher: Cipher, tokens: Tokens, *aad: str) -> bytes:
    plain = json.dumps({"access": tokens.access, "refresh": tokens.refresh})
    return cipher.seal(plain.encode(), aad=context(*aad))


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
    """Store a new grant; returns the credential's id.

    A grant without a refresh token keeps the stored one of this user (Google sends one with the
    first consent only). Returns None and stores nothing if there is none: such a grant would expire
    within the hour.
    """
    aad = (account_id, provider.name, provider_user)
    old = await db.fetchval(
        "SELECT sealed FROM credential"
        " WHERE account_id = $1 AND provider = $2 AND provider_user = $3 FOR UPDATE",
        *aad,
    )
    refresh = grant.refresh_token or (_open(cipher, old, *aad).refresh if old else None)
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
        *aad,
        new_id(),
        _seal(cipher, Tokens(grant.access_token, refresh), *aad),
        sorted(provider.needed if grant.scopes is None else grant.scopes),
        grant.fresh_until(now),
        now,
    )
    return credential_id


async def has_credential(db: Tx, *, account_id: str, provider: str, provider_user: str) -> bool:
    """Whether tokens of this user of the provider are stored."""
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
    """Lease the refresh of this generation; returns the lease, None if another process has or had it."""
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
    """Store refreshed tokens unless the generation has changed; returns whether they may be used.

    An expired lease does not matter: these tokens still replace the generation that was read. A
    grant without a refresh token leaves the old one in force. Those of a connection that was ended
    meanwhile are stored to be revoked, and may not be used.
    """
    old = held.open(cipher)
    tokens = Tokens(grant.access_token, grant.refresh_token or old.refresh)
    usable = await database.fetchval(
        """
        UPDATE credential AS k
           SET sealed = $4, fresh_until = $5, generation = generation + 1, updated_at = $6,
               lease = NULL, leased_until = NULL, resting_until = NULL
         WHERE account_id = $1 AND id = $2 AND generation = $3
        RETURNING EXISTS (SELECT FROM provider_account c
                           WHERE c.account_id = $1 AND c.credential_id = $2)
        """,
        held.account_id,
        held.id,
        held.generation,
        _seal(cipher, tokens, held.account_id, held.provider, held.provider_user),
        grant.fresh_until(now),
        now,
    )
    return bool(usable)


async def postpone_refresh(
    database: Database, held: StoredCredential, lease: str, *, pause: timedelta
) -> None:
    """Release the lease after a failure; the next refresh waits for the pause."""
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
    """Whether the generation is still the stored one and no other process is refreshing it.

    Locks the credential. Only then a refused refresh token means a lost grant: else another process
    has used the token, and has stored its successor or is about to.
    """
    row = await db.fetchrow(
        "SELECT generation, lease FROM credential WHERE account_id = $1 AND id = $2 FOR UPDATE",
        held.account_id,
        held.id,
    )
    return row is not None and (row["generation"], row["lease"]) == (held.generation, lease)


async def delete_unused_credential(db: Tx, account_id: str, credential_id: str) -> None:
    """Delete a credential that no connection uses."""
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


async def get_revocable_credential(
    database: Database, account_id: str, provider: str, provider_user: str
) -> StoredCredential | None:
    """The credential whose grant can be revoked; None if an active connection uses this provider user.

    Also one of another account: the provider has one grant of this user to our app.
    """
    row = await database.fetchrow(
        """
        SELECT k.account_id, k.id, k.provider, k.provider_user, k.generation, k.sealed,
               k.fresh_until,
               coalesce(k.leased_until > clock_timestamp(), false) AS leased,
               coalesce(k.resting_until > clock_timestamp(), false) AS resting
          FROM credential k
         WHERE k.account_id = $1 AND k.provider = $2 AND k.provider_user = $3
           AND NOT EXISTS (SELECT FROM provider_account c
                            WHERE c.provider = $2 AND c.external_id = $3 AND c.status = 'active')
        """,
        account_id,
        provider,
        provider_user,
    )
    return StoredCredential(**dict(row)) if row else None


async def delete_unused_credentials(
    db: Tx, *, provider_user: tuple[str, str], account_id: str | None = None
) -> None:
    """Delete the credentials of a provider's user that no connection uses; None: of all accounts."""
    rows = await db.fetch(
        """
        SELECT account_id, id FROM credential
         WHERE provider = $1 AND provider_user = $2 AND ($3::uuid IS NULL OR account_id = $3)
         ORDER BY account_id
        """,
        *provider_user,
        account_id,
    )
    for row in rows:
        await delete_unused_credential(db, row["account_id"], row["id"])
