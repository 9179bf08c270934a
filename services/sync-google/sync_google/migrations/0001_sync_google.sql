-- Calendars of ours, as booking announced them: only these may be connected.
CREATE TABLE calendar (
    account_id  uuid   NOT NULL,
    id          uuid   NOT NULL,
    location_id uuid   NOT NULL,
    members     uuid[] NOT NULL,
    PRIMARY KEY (account_id, id)
);

-- The newest state of each appointment, so that a calendar connected later is filled. `draft` is
-- what its event says; NULL: it occupies no time.
CREATE TABLE appointment (
    account_id  uuid        NOT NULL,
    id          uuid        NOT NULL,
    calendar_id uuid        NOT NULL,
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL,
    draft       jsonb,
    sequence    bigint      NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX appointment_ahead ON appointment (account_id, calendar_id, ends_at)
    WHERE draft IS NOT NULL;

-- The wishes and events of one appointment, in whichever connection: a subject begins with its id.
CREATE INDEX work_of_appointment ON work (left(subject, 26)) WHERE kind = 'google-event';
CREATE INDEX external_of_appointment ON external (left(subject, 26)) WHERE kind = 'google-event';
CREATE INDEX external_id_known ON external (external_id);

-- A calendar of Google that is looked at, as long as it is connected. One at a time, by a lease.
CREATE TABLE feed (
    account_id      uuid        NOT NULL,
    connection_id   uuid        NOT NULL,
    calendar_id     uuid        NOT NULL,
    -- Google's own id of the calendar, never `primary`.
    remote_calendar text        NOT NULL,
    -- Whom its events block; NULL: the calendar.
    user_id         uuid,
    -- What Google says of itself: the zone that all-day events are days of.
    time_zone       text,
    sync_token      text,
    -- Business time: what the last full list covered, and when the next one is due.
    window_start    timestamptz,
    window_end      timestamptz,
    full_due_at     timestamptz,
    -- Database time: the attempts.
    next_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts        int         NOT NULL DEFAULT 0,
    lease_token     uuid,
    lease_until     timestamptz,
    pulled_at       timestamptz,
    last_error      text,
    PRIMARY KEY (account_id, connection_id)
);
CREATE INDEX feed_due ON feed (next_at);
CREATE INDEX feed_calendar ON feed (account_id, calendar_id);

-- Somebody else's events that block time, one row for each single event or instance.
CREATE TABLE foreign_event (
    account_id    uuid        NOT NULL,
    connection_id uuid        NOT NULL,
    id            text        NOT NULL,
    starts_at     timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL,
    PRIMARY KEY (account_id, connection_id, id)
);

-- Each week as it was last announced; `sequence` counts its announcements.
CREATE TABLE busy_week (
    account_id    uuid   NOT NULL,
    connection_id uuid   NOT NULL,
    week          text   NOT NULL,
    calendar_id   uuid   NOT NULL,
    user_id       uuid,
    intervals     jsonb  NOT NULL,
    sequence      bigint NOT NULL,
    PRIMARY KEY (account_id, connection_id, week)
);

-- How often it was said that an appointment could not be written to a connected calendar.
CREATE TABLE push_failure (
    account_id uuid   NOT NULL,
    subject    text   NOT NULL,
    sequence   bigint NOT NULL,
    PRIMARY KEY (account_id, subject)
);
