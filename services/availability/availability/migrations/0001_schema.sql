-- The read model: calendars with their rules, and occupied times. All of it can be rebuilt from topics.

CREATE TABLE calendar (
    account_id  uuid   NOT NULL,
    id          uuid   NOT NULL,
    location_id uuid   NOT NULL,
    time_zone   text   NOT NULL,
    hosts       uuid[] NOT NULL,
    settings    jsonb  NOT NULL,
    sequence    bigint NOT NULL,
    PRIMARY KEY (account_id, id)
);

CREATE TABLE schedule (
    account_id   uuid   NOT NULL,
    id           uuid   NOT NULL,
    calendar_ids uuid[] NOT NULL,
    state        jsonb  NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX schedule_calendars ON schedule USING gin (calendar_ids);

-- Rooms and equipment.
CREATE TABLE asset (
    account_id   uuid   NOT NULL,
    id           uuid   NOT NULL,
    calendar_ids uuid[] NOT NULL,
    state        jsonb  NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX asset_calendars ON asset USING gin (calendar_ids);

-- Occupied times of all kinds. Times are epoch milliseconds, buffers minutes. `block` counts 32 days
-- from 1970: a row belongs to the block in which it starts; an interval longer than a week is split
-- at the borders of blocks.
CREATE TABLE occupied (
    account_id    uuid    NOT NULL,
    resource_id   uuid    NOT NULL,  -- host, calendar, room or equipment
    block         int     NOT NULL,
    starts        bigint  NOT NULL,
    ends          bigint  NOT NULL,
    expires       bigint,            -- of a hold
    buffer_before int     NOT NULL,
    buffer_after  int     NOT NULL,
    week          int     NOT NULL,  -- of external busy times: 202709; else 0
    local_day     int,               -- of an appointment or hold: days from 1970 to its local start date
    subject       uuid    NOT NULL,  -- appointment, hold, block slot or connection
    calendar_id   uuid,
    session_id    uuid,
    kind          "char"  NOT NULL   -- a: appointment, h: hold, b: block slot, x: external
);
CREATE INDEX occupied_window ON occupied (account_id, resource_id, block);
CREATE INDEX occupied_subject ON occupied (subject, account_id, kind, week);
CREATE INDEX occupied_day ON occupied (account_id, calendar_id, local_day)
 WHERE local_day IS NOT NULL;

-- The newest version of each calendar, host, room or equipment that an applied event named.
CREATE TABLE version (
    account_id uuid   NOT NULL,
    id         uuid   NOT NULL,
    version    bigint NOT NULL,
    PRIMARY KEY (account_id, id)
);

-- What the running transaction has changed: written by it, and deleted by `notify_change` when it
-- commits.
CREATE UNLOGGED TABLE pending_notification (
    account_id   uuid     NOT NULL,
    resource_ids uuid[]   NOT NULL,  -- whose occupied times changed
    calendar_ids uuid[]   NOT NULL,  -- whose rules changed
    version_ids  uuid[]   NOT NULL,  -- whose versions the event named
    versions     bigint[] NOT NULL
) WITH (autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_cost_delay = 0);
