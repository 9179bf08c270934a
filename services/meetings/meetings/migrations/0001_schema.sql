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
    -- Of the session's desired meeting, `<session>.<provider>`; NULL without a provider.
    subject        text,
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
CREATE INDEX session_member_subject ON session_member (account_id, subject) WHERE subject IS NOT NULL;

-- The desired meetings of a host, to be refreshed when his provider account changes. Only a query that
-- names this condition may use it; a look for one desired state must use its primary key.
CREATE INDEX work_meeting_host ON work (account_id, provider, (desired ->> 'host'), due_start)
    WHERE desired ? 'phase';
