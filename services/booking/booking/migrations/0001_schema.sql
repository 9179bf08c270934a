-- Calendars and what belongs to them, the sessions held in calendars, and the appointments in sessions.

CREATE TABLE calendar (
    account_id      uuid        NOT NULL,
    id              uuid        NOT NULL,
    location_id     uuid        NOT NULL,
    time_zone       text        NOT NULL,
    hosts           uuid[]      NOT NULL,               -- its members; itself when it has none
    settings        jsonb       NOT NULL,               -- the body of the response to GET
    version         bigint      NOT NULL DEFAULT 1,
    sequence        bigint      NOT NULL DEFAULT 1,
    deleted_at      timestamptz,
    -- The schedules and resources that apply to the calendar, copied here by `update_applied`: a
    -- booking reads one row. `applied_version` grows with each copy, so that no cache of the
    -- calendar's rules outlives a change.
    applied         jsonb       NOT NULL DEFAULT '{}',  -- {schedules: […], resources: […]}
    applied_version bigint      NOT NULL DEFAULT 0,
    needs           uuid[]      NOT NULL DEFAULT '{}',  -- the active ones of these resources
    slug            text,                               -- in lower case
    PRIMARY KEY (account_id, id)
);
CREATE INDEX calendar_location ON calendar (account_id, location_id) WHERE deleted_at IS NULL;
CREATE INDEX calendar_in_group ON calendar (account_id, (settings ->> 'groupId'))
    WHERE deleted_at IS NULL;
-- A slug belongs to one calendar of a location; so does a slug of a group, below.
CREATE UNIQUE INDEX calendar_slug ON calendar (account_id, location_id, slug)
    WHERE deleted_at IS NULL;

CREATE TABLE calendar_group (
    account_id   uuid   NOT NULL,
    id           uuid   NOT NULL,
    location_id  uuid   NOT NULL,
    calendar_ids uuid[] NOT NULL DEFAULT '{}',  -- always empty: calendars name their group
    state        jsonb  NOT NULL,               -- as last announced
    deleted_at   timestamptz,
    PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX calendar_group_slug
    ON calendar_group (account_id, location_id, lower(state ->> 'slug')) WHERE deleted_at IS NULL;

CREATE TABLE schedule (
    account_id   uuid   NOT NULL,
    id           uuid   NOT NULL,
    location_id  uuid   NOT NULL,
    calendar_ids uuid[] NOT NULL,
    state        jsonb  NOT NULL,   -- as last announced
    deleted_at   timestamptz,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX schedule_calendars ON schedule USING gin (calendar_ids) WHERE deleted_at IS NULL;

-- A room, or a piece of equipment of which there are several units. Its lock and version stand in
-- `bookable`, like those of everything else whose time can be taken.
CREATE TABLE resource (
    account_id   uuid   NOT NULL,
    id           uuid   NOT NULL,
    location_id  uuid   NOT NULL,
    calendar_ids uuid[] NOT NULL,
    state        jsonb  NOT NULL,   -- as last announced
    deleted_at   timestamptz,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX resource_calendars ON resource USING gin (calendar_ids) WHERE deleted_at IS NULL;

CREATE TABLE block_slot (
    account_id  uuid      NOT NULL,
    id          uuid      NOT NULL,
    location_id uuid      NOT NULL,
    blocks      uuid      NOT NULL,   -- a calendar, a user, or a resource
    during      tstzrange NOT NULL CHECK (NOT isempty(during)),
    state       jsonb     NOT NULL,   -- as last announced
    deleted_at  timestamptz,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX block_slot_during ON block_slot USING gist (account_id, blocks, during)
    WHERE deleted_at IS NULL;

-- Everything whose time can be taken: calendars, hosts, rooms, equipment. `version` grows with each
-- change of what is free there, so a decision that was read without locks can be checked under them.
CREATE TABLE bookable (
    account_id uuid   NOT NULL,
    id         uuid   NOT NULL,
    version    bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (account_id, id)
);

-- (calendar, host, start): the first booking opens a session, the last appointment that leaves closes
-- the session for good. Rooms are allocated like hosts, equipment is counted.
CREATE TABLE session (
    account_id  uuid        NOT NULL,
    id          uuid        NOT NULL,
    calendar_id uuid        NOT NULL,
    host_id     uuid        NOT NULL,
    hosts       uuid[]      NOT NULL,
    starts      timestamptz NOT NULL,
    ends        timestamptz NOT NULL,
    shared      boolean     NOT NULL,
    meetings    jsonb       NOT NULL DEFAULT '{}',  -- provider -> {sequence, meeting}
    revision    bigint      NOT NULL DEFAULT 1,     -- grows with `meetings` and `resources`
    closed_at   timestamptz,
    resources   uuid[]      NOT NULL DEFAULT '{}',  -- its rooms and its equipment
    capacity    int         NOT NULL DEFAULT 1,     -- seats when one was taken last; fewer since, perhaps
    PRIMARY KEY (account_id, id)
);
-- Sessions are looked up by calendar and start; the host only makes them unique.
CREATE UNIQUE INDEX session_open ON session (account_id, calendar_id, starts, host_id)
    WHERE closed_at IS NULL;
-- Sessions with several seats are looked up over days, among many with one seat.
CREATE INDEX session_shared ON session (account_id, calendar_id, starts)
    WHERE closed_at IS NULL AND shared;

-- Each host and room of an open session, once. The constraint is the backstop of the locks:
-- core times of one resource never overlap, whatever the code believes.
CREATE TABLE allocation (
    account_id    uuid      NOT NULL,
    session_id    uuid      NOT NULL,
    bookable_id   uuid      NOT NULL,
    during        tstzrange NOT NULL CHECK (NOT isempty(during)),
    buffer_before int       NOT NULL,  -- minutes
    buffer_after  int       NOT NULL,
    PRIMARY KEY (account_id, session_id, bookable_id),
    CONSTRAINT allocation_no_overlap
        EXCLUDE USING gist (account_id WITH =, bookable_id WITH =, during WITH &&)
);

-- One unit of a piece of equipment in an open session.
CREATE TABLE equipment_use (
    account_id  uuid      NOT NULL,
    session_id  uuid      NOT NULL,
    resource_id uuid      NOT NULL,
    during      tstzrange NOT NULL CHECK (NOT isempty(during)),
    units       int       NOT NULL,  -- that existed when this one was taken
    PRIMARY KEY (account_id, session_id, resource_id)
);
CREATE INDEX equipment_use_during ON equipment_use USING gist (account_id, resource_id, during);

-- An appointment; or a hold: a row with `held_until` and no contact, whose state is the hold's.
CREATE TABLE appointment (
    account_id  uuid        NOT NULL,
    id          uuid        NOT NULL,
    calendar_id uuid        NOT NULL,
    location_id uuid        NOT NULL,
    contact_id  uuid,
    session_id  uuid        NOT NULL,
    seat        int,                    -- null: takes no time
    starts      timestamptz NOT NULL,
    ends        timestamptz NOT NULL,
    local_day   date        NOT NULL,   -- of the start, in the location's zone: for daily limits
    occupies    boolean     NOT NULL,
    version     bigint      NOT NULL,
    sequence    bigint      NOT NULL,
    state       jsonb       NOT NULL,   -- as last announced
    deleted_at  timestamptz,
    held_until  timestamptz,
    -- The hosts, as the state spells them: the first; and all, where there are several. They are
    -- columns and not expressions on `state`: else each announcement would write to each index.
    host        text        GENERATED ALWAYS AS (state #>> '{hosts,0}') STORED,
    cohosts     jsonb       GENERATED ALWAYS AS (
        CASE WHEN jsonb_array_length(state -> 'hosts') > 1 THEN state -> 'hosts' END) STORED,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, session_id, seat),
    CHECK (occupies = (seat IS NOT NULL)),
    CONSTRAINT appointment_contact_or_hold CHECK ((held_until IS NULL) = (contact_id IS NOT NULL)),
    CONSTRAINT appointment_hold_occupies CHECK (held_until IS NULL OR occupies)
);
CREATE INDEX appointment_day ON appointment (account_id, calendar_id, local_day) WHERE occupies;
CREATE INDEX appointment_held ON appointment (held_until) WHERE held_until IS NOT NULL;
-- A series is found by its id, which the states of its occurrences carry.
CREATE INDEX appointment_series ON appointment (account_id, (state #>> '{series,master}'), starts)
    WHERE state #>> '{series,master}' IS NOT NULL;
-- Each list of appointments reads an index in the order of the list, from the end of the last page
-- on, so that the cost of a page depends on nothing but its length.
CREATE INDEX appointment_calendar ON appointment (account_id, calendar_id, starts);
CREATE INDEX appointment_contact ON appointment (account_id, contact_id, starts)
    WHERE deleted_at IS NULL AND held_until IS NULL;
CREATE INDEX appointment_host ON appointment (account_id, host, starts)
    WHERE deleted_at IS NULL AND held_until IS NULL;
CREATE INDEX appointment_cohosts ON appointment (account_id, starts)
    WHERE cohosts IS NOT NULL AND deleted_at IS NULL AND held_until IS NULL;
-- The few appointments longer than a day: all others that overlap a time began within the day before.
CREATE INDEX appointment_long ON appointment USING gist (account_id, tstzrange(starts, ends))
    WHERE ends - starts > interval '1 day' AND deleted_at IS NULL AND held_until IS NULL;

-- Holds that were released or booked, for a day: a second release has the response of the first.
CREATE TABLE gone_hold (
    account_id  uuid        NOT NULL,
    id          uuid        NOT NULL,
    calendar_id uuid        NOT NULL,
    gone_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, id)
);
CREATE INDEX gone_hold_when ON gone_hold (gone_at);

-- Free text about an appointment: never announced. Of a deleted note the text is gone, the id stays.
CREATE TABLE note (
    account_id     uuid        NOT NULL,
    id             uuid        NOT NULL,
    appointment_id uuid        NOT NULL,
    user_id        uuid,                   -- the author, if a user is named
    created_by     uuid        NOT NULL,   -- the API key of the request
    body           text        NOT NULL,
    version        bigint      NOT NULL DEFAULT 1,
    date_added     timestamptz NOT NULL,
    date_updated   timestamptz NOT NULL,
    deleted_at     timestamptz,
    PRIMARY KEY (account_id, id),
    CHECK (deleted_at IS NULL OR body = '')
);
CREATE INDEX note_appointment ON note (account_id, appointment_id, id) WHERE deleted_at IS NULL;

-- Busy times of external calendars: checked and not constrained, for booking cannot forbid them.
CREATE TABLE external_busy (
    account_id    uuid      NOT NULL,
    connection_id uuid      NOT NULL,
    week          text      NOT NULL,
    bookable_id   uuid      NOT NULL,
    during        tstzrange NOT NULL
);
CREATE INDEX external_busy_week ON external_busy (account_id, connection_id, week);
CREATE INDEX external_busy_during ON external_busy USING gist (account_id, bookable_id, during);

-- Projections of what other services announce.
CREATE TABLE known_user (
    account_id uuid NOT NULL,
    id         uuid NOT NULL,
    name       text NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE TABLE known_contact (
    account_id  uuid NOT NULL,
    id          uuid NOT NULL,
    location_id uuid NOT NULL,
    name        text NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE TABLE known_connection (
    account_id uuid  NOT NULL,
    id         uuid  NOT NULL,
    provider   text  NOT NULL,
    owner_id   uuid  NOT NULL,
    state      jsonb NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX known_connection_owner ON known_connection (account_id, owner_id);
