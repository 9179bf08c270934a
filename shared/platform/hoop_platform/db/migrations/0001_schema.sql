-- The platform's tables, in the database of every service.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- What has been decided here and not yet been acknowledged by Kafka. One column per attribute
-- that varies, so that Debezium's outbox event router can take over without a migration.
CREATE SEQUENCE outbox_id_seq CACHE 1;
CREATE TABLE outbox (
    -- CASE fixes the order: a transaction has its number before it takes an id. So the relay can tell
    -- by the numbers of running transactions which ids may still appear.
    id          bigint      PRIMARY KEY
                DEFAULT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('outbox_id_seq') END,
    event_id    uuid        NOT NULL UNIQUE,
    topic       text        NOT NULL,
    type        text        NOT NULL,
    source      text        NOT NULL,
    subject     text        NOT NULL,
    sequence    bigint      NOT NULL,
    account_id  uuid        NOT NULL,
    dataschema  text        NOT NULL,
    time        timestamptz NOT NULL,
    traceparent text,
    body        bytea       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    parked_at   timestamptz,
    park_reason text,
    UNIQUE (topic, subject, sequence)
);
ALTER SEQUENCE outbox_id_seq OWNED BY outbox.id;
CREATE INDEX outbox_parked ON outbox (topic, subject) WHERE parked_at IS NOT NULL;

-- One relay at a time. A row, not a session lock: it works behind a transaction pooler.
CREATE TABLE relay_lease (
    only_one boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
    owner    uuid        NOT NULL,
    epoch    bigint      NOT NULL DEFAULT 1,
    until    timestamptz NOT NULL,
    renewed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The backend on which the leader LISTENs; null if it cannot, then it polls.
    listener int
) WITH (fillfactor = 50);

-- The inbox: the next offset of each partition. The row is locked by the consumer that handles a
-- batch, so that one that lost the partition and does not know it yet cannot apply anything.
--
-- One row a partition (`first_offset` sees to it). The offset is in the key so that the newest
-- version of the row is the first in the index: while an old snapshot keeps vacuum from removing the
-- others, they are not walked over.
CREATE TABLE consumer_offset (
    topic       text,
    partition   int,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition, next_offset)
);

-- The newest sequence applied per aggregate: anything else is a duplicate or too late. Pages have
-- room for the next version of a row, so that its index stays as it is.
CREATE TABLE applied_event (
    topic    text,
    subject  text,
    sequence bigint NOT NULL,
    PRIMARY KEY (topic, subject)
) WITH (fillfactor = 80);

-- Dead letters: records that could not be handled, as they arrived, to be looked at and replayed.
CREATE TABLE dead_letter (
    topic     text,
    partition int,
    record_offset bigint,
    key       bytea,
    value     bytea,
    headers   jsonb       NOT NULL,
    error     text        NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, partition, record_offset)
);

-- Desired states: how an external object should be, until it is. `due`: to be worked on at once;
-- `waiting`: from `next_attempt_at` on.
CREATE TABLE work (
    account_id         uuid        NOT NULL,
    kind               text        NOT NULL,
    subject            text        NOT NULL,
    provider           text        NOT NULL,
    -- Calls are made for one desired state of this user of the provider at a time.
    provider_user      text        NOT NULL,
    -- The provider account that calls go through, if there is one.
    connection_id      uuid,
    due_start          timestamptz NOT NULL,
    desired            jsonb       NOT NULL,
    -- The sequence of the newest event that the desired state comes from.
    desired_sequence   bigint      NOT NULL,
    -- Counts the changes of the desired state; an attempt at an older revision completes nothing.
    revision           bigint      NOT NULL DEFAULT 1,
    status             text        NOT NULL DEFAULT 'due'
                                   CHECK (status IN ('due', 'waiting', 'done', 'failed')),
    next_attempt_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts           int         NOT NULL DEFAULT 0,
    lease_token        uuid,
    lease_until        timestamptz,
    last_error         text,
    -- The status as last announced, and the number of announcements.
    announced          jsonb,
    announced_sequence bigint      NOT NULL DEFAULT 0,
    traceparent        text,
    PRIMARY KEY (kind, subject)
);
CREATE INDEX work_due ON work (due_start) WHERE status = 'due';
CREATE INDEX work_due_of_user ON work (provider, provider_user, due_start) WHERE status = 'due';
CREATE INDEX work_postponed_of_user ON work (provider, provider_user)
    WHERE status IN ('waiting', 'failed');
CREATE INDEX work_waiting ON work (next_attempt_at) WHERE status = 'waiting';
CREATE INDEX work_leased ON work (provider, provider_user, lease_until) WHERE lease_token IS NOT NULL;
CREATE INDEX work_connection ON work (connection_id) WHERE connection_id IS NOT NULL;

-- External objects: what exists, or may exist, at a provider for a subject. Written by the platform
-- alone. `content`: what the object says there, NULL when unknown. `data`: what the adapter needs.
CREATE TABLE external (
    account_id    uuid        NOT NULL,
    kind          text        NOT NULL,
    subject       text        NOT NULL,
    generation    int         NOT NULL,
    connection_id uuid,
    external_id   text,
    state         text        NOT NULL CHECK (state IN ('intended', 'live', 'to_delete', 'gone', 'abandoned')),
    content       jsonb,
    data          jsonb       NOT NULL DEFAULT '{}',
    -- A search at the provider did not find the object of this intent (yet).
    looked_up     boolean     NOT NULL DEFAULT false,
    -- When the intent, or the latest change, was stored.
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, subject, generation)
);
-- A subject has at most one live object, however many exist at the provider.
CREATE UNIQUE INDEX external_one_live ON external (kind, subject) WHERE state = 'live';
CREATE INDEX external_connection ON external (connection_id) WHERE state IN ('intended', 'live', 'to_delete');

-- The calls made for a user of a provider on a UTC day, counted before each call, whatever its
-- outcome. `exhausted`: the provider itself says that the day's quota is used up.
CREATE TABLE provider_quota (
    account_id    uuid    NOT NULL,
    provider      text    NOT NULL,
    provider_user text    NOT NULL,
    day           date    NOT NULL,
    calls         int     NOT NULL DEFAULT 0,
    exhausted     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (provider, provider_user, day, account_id)
);

-- Circuits that are open: until then nothing is tried for this user of the provider.
CREATE TABLE circuit (
    provider      text,
    provider_user text,
    open_until    timestamptz NOT NULL,
    reason        text,
    PRIMARY KEY (provider, provider_user)
);

-- Credentials: the sealed tokens (or password) of one user of a provider. One row per user,
-- however many provider accounts refer to it: a provider that issues new tokens may void the older
-- ones, so two copies would be one too many.
CREATE TABLE credential (
    account_id      uuid        NOT NULL,
    id              uuid        NOT NULL,
    provider        text        NOT NULL,
    provider_user   text        NOT NULL,
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
    UNIQUE (account_id, provider, provider_user)
);

-- Provider accounts (*connections* in the API): a user of a provider, connected to a user (Zoom,
-- Teams) or to a calendar (Google, iCloud) of ours. An active one has a credential, no other has.
CREATE TABLE provider_account (
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
CREATE UNIQUE INDEX provider_account_one_per_owner
    ON provider_account (account_id, provider, owner_kind, owner_id) WHERE status <> 'disconnected';
CREATE INDEX provider_account_credential ON provider_account (account_id, credential_id)
    WHERE credential_id IS NOT NULL;
-- A provider's webhook names its own account, not ours.
CREATE INDEX provider_account_external_id ON provider_account (provider, external_id)
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
    FOREIGN KEY (account_id, connection_id) REFERENCES provider_account (account_id, id)
);
CREATE INDEX oauth_state_expiry ON oauth_state (expires_at);
CREATE INDEX oauth_state_connection ON oauth_state (account_id, connection_id);

-- Responses to requests that carried an `Idempotency-Key`, written in the transaction of the request:
-- a repetition gets the same response and changes nothing.
CREATE TABLE idempotent_response (
    account_id uuid        NOT NULL,
    key        text        NOT NULL,
    -- SHA-256 of the request: the same key is refused for any other.
    digest     bytea       NOT NULL,
    status     int         NOT NULL,
    headers    jsonb       NOT NULL,
    body       bytea       NOT NULL,
    -- Business time.
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotent_response_expiry ON idempotent_response (expires_at);
