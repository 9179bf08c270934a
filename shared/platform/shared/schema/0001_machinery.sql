-- The machinery's own tables, in the database of every service.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- What has been decided here and not yet been acknowledged by Kafka. One column per attribute
-- that varies, so that Debezium's outbox event router can take over without a migration.
CREATE TABLE outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
CREATE INDEX outbox_unparked ON outbox (id) WHERE parked_at IS NULL;
CREATE INDEX outbox_parked ON outbox (topic, subject) WHERE parked_at IS NOT NULL;

-- One relay at a time. A row, not a session lock: it works behind a transaction pooler.
CREATE TABLE relay_lease (
    only_one boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
    owner    uuid        NOT NULL,
    epoch    bigint      NOT NULL DEFAULT 1,
    until    timestamptz NOT NULL
);

-- How far each partition has been consumed; locked by whoever handles it, so that a consumer
-- that lost the partition and does not know it yet cannot apply anything.
CREATE TABLE consumed (
    topic       text,
    partition   int,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- The newest sequence applied per aggregate: anything else is a duplicate or too late.
CREATE TABLE applied (
    topic    text,
    subject  text,
    sequence bigint NOT NULL,
    PRIMARY KEY (topic, subject)
);

-- Records that could not be handled, as they were, for a person to look at and to replay.
CREATE TABLE quarantine (
    topic     text,
    partition int,
    record    bigint,
    key       bytea,
    value     bytea,
    headers   jsonb       NOT NULL,
    error     text        NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, partition, record)
);

-- A wish: how the world outside should be about one subject, until it is.
CREATE TABLE work (
    account_id       uuid        NOT NULL,
    kind             text        NOT NULL,
    subject          text        NOT NULL,
    provider         text        NOT NULL,
    principal        text        NOT NULL,
    due_start        timestamptz NOT NULL,
    desired          jsonb       NOT NULL,
    desired_sequence bigint      NOT NULL,
    done_sequence    bigint      NOT NULL DEFAULT 0,
    status           text        NOT NULL DEFAULT 'due' CHECK (status IN ('due', 'done', 'failed')),
    next_attempt_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts         int         NOT NULL DEFAULT 0,
    lease_token      uuid,
    lease_until      timestamptz,
    last_error       text,
    traceparent      text,
    PRIMARY KEY (kind, subject)
);
CREATE INDEX work_due ON work (kind, next_attempt_at) WHERE status = 'due';
CREATE INDEX work_leased ON work (provider, principal) WHERE lease_until IS NOT NULL;

-- What we have made, or may have made, in the world outside for a subject.
CREATE TABLE external (
    account_id      uuid        NOT NULL,
    kind            text        NOT NULL,
    subject         text        NOT NULL,
    generation      int         NOT NULL,
    connection_id   uuid        NOT NULL,
    remote_calendar text,
    external_id     text,
    state           text        NOT NULL CHECK (state IN ('intended', 'live', 'doomed', 'gone', 'abandoned')),
    etag            text,
    data            jsonb       NOT NULL DEFAULT '{}',
    intent_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, subject, generation)
);
CREATE INDEX external_connection ON external (connection_id) WHERE state IN ('intended', 'live', 'doomed');

-- Whether a provider wants to hear from one of its users at all right now.
CREATE TABLE gate (
    provider  text,
    principal text,
    open_at   timestamptz NOT NULL,
    reason    text,
    PRIMARY KEY (provider, principal)
);
