-- The read model: what is offered, and what is taken. Everything here can be rebuilt from topics.

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

-- A row for each appointment and host that it occupies.
CREATE TABLE taken (
    account_id     uuid      NOT NULL,
    appointment_id uuid      NOT NULL,
    resource_id    uuid      NOT NULL,
    calendar_id    uuid      NOT NULL,
    session_id     uuid      NOT NULL,
    during         tstzrange NOT NULL,
    buffer_before  int       NOT NULL,  -- minutes
    buffer_after   int       NOT NULL,
    local_day      date      NOT NULL,  -- of the start, in the location's zone
    PRIMARY KEY (account_id, appointment_id, resource_id)
);
CREATE INDEX taken_during ON taken USING gist (account_id, resource_id, during);
CREATE INDEX taken_day ON taken (account_id, calendar_id, local_day);

CREATE TABLE external_busy (
    account_id    uuid      NOT NULL,
    connection_id uuid      NOT NULL,
    week          text      NOT NULL,
    resource_id   uuid      NOT NULL,
    during        tstzrange NOT NULL
);
CREATE INDEX external_busy_week ON external_busy (account_id, connection_id, week);
CREATE INDEX external_busy_during ON external_busy USING gist (account_id, resource_id, during);
