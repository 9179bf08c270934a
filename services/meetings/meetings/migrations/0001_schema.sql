-- The users of each account. Only they may be connected to a provider.
CREATE TABLE app_user (
    account_id uuid NOT NULL,
    id         uuid NOT NULL,
    PRIMARY KEY (account_id, id)
);

-- Session members: the session of each appointment, as its newest event says. The row stays when the
-- appointment is cancelled, so that an older event, delivered again, cannot revive it.
CREATE TABLE session_member (
    account_id     uuid        NOT NULL,
    appointment_id uuid        NOT NULL,
    location_id    uuid        NOT NULL,
    session        uuid        NOT NULL,
    -- NULL when the appointment is not an online meeting.
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
CREATE INDEX session_member_session ON session_member (account_id, session, provider);

-- The desired meeting of each session at a provider, derived from the session's members. `sequence`
-- is that of the desired state in `work`. Written under the session's advisory lock.
CREATE TABLE desired_meeting (
    account_id uuid        NOT NULL,
    session    uuid        NOT NULL,
    provider   text        NOT NULL,
    host       uuid        NOT NULL,
    ends_at    timestamptz NOT NULL,
    desired    jsonb       NOT NULL,
    sequence   bigint      NOT NULL,
    PRIMARY KEY (account_id, session, provider)
);
CREATE INDEX desired_meeting_host ON desired_meeting (account_id, provider, host, ends_at);

-- The link of each session as last announced; `sequence` counts the announcements. Written only under
-- the lease of the session's desired state (its row in `work`).
CREATE TABLE link (
    account_id uuid   NOT NULL,
    session    uuid   NOT NULL,
    provider   text   NOT NULL,
    meeting    jsonb  NOT NULL,
    sequence   bigint NOT NULL,
    PRIMARY KEY (account_id, session, provider)
);

-- The creates, updates and deletes sent to a provider for one of its users on a UTC day: counted
-- before each call, whatever its outcome. `exhausted`: the provider itself says that the day's quota
-- is used up.
CREATE TABLE provider_call_quota (
    account_id    uuid    NOT NULL,
    provider      text    NOT NULL,
    provider_user text    NOT NULL,
    day           date    NOT NULL,
    calls         int     NOT NULL DEFAULT 0,
    exhausted     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (provider, provider_user, day, account_id)
);

-- A session has at most one live meeting, however many exist at the provider.
CREATE UNIQUE INDEX external_one_live_meeting ON external (subject)
    WHERE kind = 'meeting' AND state = 'live';
