-- Who exists: only a user of the account may be connected.
CREATE TABLE person (
    account_id uuid NOT NULL,
    id         uuid NOT NULL,
    PRIMARY KEY (account_id, id)
);

-- Where each appointment sits, as its newest event said. The row stays when it is cancelled, so
-- that an older event, delivered again, cannot bring it back.
CREATE TABLE seat (
    account_id     uuid        NOT NULL,
    appointment_id uuid        NOT NULL,
    location_id    uuid        NOT NULL,
    session        uuid        NOT NULL,
    -- NULL when it meets elsewhere than online.
    provider       text,
    host           uuid        NOT NULL,
    starts_at      timestamptz NOT NULL,
    ends_at        timestamptz NOT NULL,
    time_zone      text        NOT NULL,
    title          text        NOT NULL,
    shared         boolean     NOT NULL,
    confirmed      boolean     NOT NULL,
    occupies       boolean     NOT NULL,
    sequence       bigint      NOT NULL,
    PRIMARY KEY (account_id, appointment_id)
);
CREATE INDEX seat_session ON seat (account_id, session, provider);

-- What the seats of a session add up to, as it was last wished of the provider; `sequence` counts
-- the wishes. Written under the session's advisory lock.
CREATE TABLE wanted (
    account_id uuid        NOT NULL,
    session    uuid        NOT NULL,
    provider   text        NOT NULL,
    host       uuid        NOT NULL,
    ends_at    timestamptz NOT NULL,
    desired    jsonb       NOT NULL,
    sequence   bigint      NOT NULL,
    PRIMARY KEY (account_id, session, provider)
);
CREATE INDEX wanted_host ON wanted (account_id, provider, host, ends_at);

-- The link as it was last announced; `sequence` counts the announcements. Written only by who
-- holds the session's wish (its row in `work`).
CREATE TABLE link (
    account_id uuid   NOT NULL,
    session    uuid   NOT NULL,
    provider   text   NOT NULL,
    meeting    jsonb  NOT NULL,
    sequence   bigint NOT NULL,
    PRIMARY KEY (account_id, session, provider)
);

-- How many changes were asked of a provider for one of its users on a UTC day: counted before
-- each call, whatever becomes of it. `closed`: the provider itself says that the day is used up.
CREATE TABLE ledger (
    account_id uuid    NOT NULL,
    provider   text    NOT NULL,
    provider_user  text    NOT NULL,
    day        date    NOT NULL,
    calls      int     NOT NULL DEFAULT 0,
    closed     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (provider, provider_user, day, account_id)
);

-- A session has one link at a time, whatever else may exist at the provider by mistake.
CREATE UNIQUE INDEX external_one_live_meeting ON external (subject)
    WHERE kind = 'meeting' AND state = 'live';
