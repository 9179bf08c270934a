-- Accounts at providers, connected to a user (Zoom, Teams) or to a calendar (Google, iCloud).

-- What a provider let us have: the sealed tokens (or password) of one of its accounts, the
-- *principal*. One row per principal, however many connections use it: a provider that hands out
-- new tokens may void the older ones, so two copies would be one too many.
CREATE TABLE credential (
    account_id      uuid        NOT NULL,
    id              uuid        NOT NULL,
    provider        text        NOT NULL,
    principal       text        NOT NULL,
    sealed          bytea       NOT NULL,
    scopes          text[]      NOT NULL,
    -- Business time; a little before the access token ends.
    fresh_until     timestamptz NOT NULL,
    -- Counts the tokens held here. Only who has seen the present generation may replace it.
    generation      bigint      NOT NULL DEFAULT 1,
    -- Database time: one process at a time asks for new tokens, and nobody right after a failure.
    lease           uuid,
    leased_until    timestamptz,
    resting_until   timestamptz,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, provider, principal)
);

-- What the owner sees. An active connection has its credential, and no other connection has one.
CREATE TABLE connection (
    account_id    uuid        NOT NULL,
    id            uuid        NOT NULL,
    provider      text        NOT NULL,
    owner_kind    text        NOT NULL CHECK (owner_kind IN ('user', 'calendar')),
    owner_id      uuid        NOT NULL,
    status        text        NOT NULL CHECK (status IN ('pending', 'active', 'disconnected')),
    reason        text,
    -- The account at the provider: as its owner knows it, and as the provider's API does.
    label         text,
    external_id   text,
    credential_id uuid,
    settings      jsonb       NOT NULL DEFAULT '{}',
    sequence      bigint      NOT NULL DEFAULT 1,
    connected_at  timestamptz,
    last_sync_at  timestamptz,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (account_id, id),
    FOREIGN KEY (account_id, credential_id) REFERENCES credential (account_id, id),
    CHECK ((status = 'active') = (credential_id IS NOT NULL))
);
CREATE UNIQUE INDEX connection_one_per_owner
    ON connection (account_id, provider, owner_kind, owner_id) WHERE status <> 'disconnected';
CREATE INDEX connection_credential ON connection (account_id, credential_id)
    WHERE credential_id IS NOT NULL;
-- A provider's webhook names its own account, not ours.
CREATE INDEX connection_principal ON connection (provider, external_id)
    WHERE status <> 'disconnected';

-- Authorizations that were begun and have not come back. Known by the hash of `state` alone, used
-- once, for ten minutes.
CREATE TABLE oauth_state (
    state_hash      bytea       PRIMARY KEY,
    account_id      uuid        NOT NULL,
    connection_id   uuid        NOT NULL,
    provider        text        NOT NULL,
    sealed_verifier bytea       NOT NULL,
    redirect_uri    text        NOT NULL,
    return_to       text,
    expires_at      timestamptz NOT NULL,
    FOREIGN KEY (account_id, connection_id) REFERENCES connection (account_id, id)
);
CREATE INDEX oauth_state_expiry ON oauth_state (expires_at);
CREATE INDEX oauth_state_connection ON oauth_state (account_id, connection_id);
