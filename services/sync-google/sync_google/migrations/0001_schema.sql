-- Our calendars, as booking announced them: only these may be connected.
CREATE TABLE calendar (
    account_id  uuid   NOT NULL,
    id          uuid   NOT NULL,
    location_id uuid   NOT NULL,
    members     uuid[] NOT NULL,
    PRIMARY KEY (account_id, id)
);

-- The newest state of each appointment, so that a calendar connected later can be filled. `draft` is
-- what the appointment's event should say; NULL: the appointment occupies no time.
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

-- Desired states and events of one appointment, of all connections: a subject begins with the
-- appointment's id.
CREATE INDEX work_of_appointment ON work (left(subject, 26)) WHERE kind = 'google-event';
CREATE INDEX external_of_appointment ON external (left(subject, 26)) WHERE kind = 'google-event';
CREATE INDEX external_of_event ON external (external_id);

-- Connected Google calendars. Each has a desired state of its own, due again after the poll interval.
CREATE TABLE feed (
    account_id      uuid        NOT NULL,
    connection_id   uuid        NOT NULL,
    calendar_id     uuid        NOT NULL,
    -- The id of the calendar at Google, never `primary`.
    remote_calendar text        NOT NULL,
    -- The user whom the calendar's events block; NULL: our calendar itself.
    user_id         uuid,
    -- The zone of the Google calendar, in which all-day events are days.
    time_zone       text,
    sync_token      text,
    -- Business time: the range of the last full listing, and when the next one is due.
    window_start    timestamptz,
    window_end      timestamptz,
    full_due_at     timestamptz,
    -- A list that takes several attempts: its pages so far, as JSON.
    unfinished      text,
    -- Database time.
    pulled_at       timestamptz,
    PRIMARY KEY (account_id, connection_id)
);
CREATE INDEX feed_calendar ON feed (account_id, calendar_id);

-- Other people's events that block time, one row for each single event or instance of a series.
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
