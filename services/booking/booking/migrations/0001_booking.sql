-- Calendars, the sessions held in them, and the appointments that sit in those.

CREATE TABLE calendar (
    account_id  uuid        NOT NULL,
    id          uuid        NOT NULL,
    location_id uuid        NOT NULL,
    time_zone   text        NOT NULL,
    hosts       uuid[]      NOT NULL,   -- its members, or itself when it has none
    settings    jsonb       NOT NULL,   -- the body that GET answers
    version     bigint      NOT NULL DEFAULT 1,
    sequence    bigint      NOT NULL DEFAULT 1,
    deleted_at  timestamptz,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX calendar_location ON calendar (account_id, location_id) WHERE deleted_at IS NULL;

-- Whatever can be taken: calendars, hosts, rooms. `version` grows with everything that may change
-- the answer to "is it free?", so a decision that was read without locks can be checked under them.
CREATE TABLE resource (
    account_id uuid   NOT NULL,
    id         uuid   NOT NULL,
    version    bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (account_id, id)
);

-- (calendar, host, start): the first booking opens it, the last one leaving closes it for ever.
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
    revision    bigint      NOT NULL DEFAULT 1,     -- grows with `meetings`
    closed_at   timestamptz,
    PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX session_open ON session (account_id, calendar_id, host_id, starts)
    WHERE closed_at IS NULL;

-- Each host and room of an open session, once. The constraint is the backstop of the locks:
-- core times of one resource never overlap, whatever the code believes.
CREATE TABLE allocation (
    account_id    uuid      NOT NULL,
    session_id    uuid      NOT NULL,
    resource_id   uuid      NOT NULL,
    during        tstzrange NOT NULL CHECK (NOT isempty(during)),
    buffer_before int       NOT NULL,  -- minutes
    buffer_after  int       NOT NULL,
    PRIMARY KEY (account_id, session_id, resource_id),
    CONSTRAINT never_two_at_once
        EXCLUDE USING gist (account_id WITH =, resource_id WITH =, during WITH &&)
);

CREATE TABLE appointment (
    account_id  uuid        NOT NULL,
    id          uuid        NOT NULL,
    calendar_id uuid        NOT NULL,
    location_id uuid        NOT NULL,
    contact_id  uuid        NOT NULL,
    session_id  uuid        NOT NULL,
    seat        int,                    -- null: it does not occupy
    starts      timestamptz NOT NULL,
    ends        timestamptz NOT NULL,
    local_day   date        NOT NULL,   -- of the start, in the location's zone: for daily limits
    occupies    boolean     NOT NULL,
    version     bigint      NOT NULL,
    sequence    bigint      NOT NULL,
    state       jsonb       NOT NULL,   -- as last announced
    deleted_at  timestamptz,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, session_id, seat),
    CHECK (occupies = (seat IS NOT NULL))
);
CREATE INDEX appointment_calendar ON appointment (account_id, calendar_id, starts);
CREATE INDEX appointment_day ON appointment (account_id, calendar_id, local_day) WHERE occupies;

-- What other calendars of a person block: checked, not constrained, for it is not ours to forbid.
CREATE TABLE external_busy (
    account_id    uuid      NOT NULL,
    connection_id uuid      NOT NULL,
    week          text      NOT NULL,
    resource_id   uuid      NOT NULL,
    during        tstzrange NOT NULL
);
CREATE INDEX external_busy_week ON external_busy (account_id, connection_id, week);
CREATE INDEX external_busy_during ON external_busy USING gist (account_id, resource_id, during);

-- Projections of what other services own.
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

-- Write down a decision that was taken on what was read without locks, if it still holds.
--
-- Locks in one order everywhere: calendars, then hosts by id, then sessions, then the appointment.
-- Each statement of a volatile function sees what was committed before *it* began, so what is
-- compared here is compared under the locks. Answers false, and has done nothing, when anything
-- the decision was based on has changed.
CREATE FUNCTION settle(
    p_account uuid,
    p_calendars uuid[], p_calendar_versions bigint[],
    p_count boolean,                                    -- the calendars' rules count appointments
    p_hosts uuid[], p_host_versions bigint[],
    p_sessions uuid[], p_revisions bigint[],
    p_appointment uuid, p_sequence bigint,              -- sequence 0: it must not exist yet
    p_plan jsonb
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    o jsonb;
BEGIN
    IF p_count THEN
        PERFORM FROM resource WHERE account_id = p_account AND id = ANY (p_calendars)
          ORDER BY id FOR NO KEY UPDATE;
    ELSE
        PERFORM FROM resource WHERE account_id = p_account AND id = ANY (p_calendars)
          ORDER BY id FOR SHARE;
    END IF;
    PERFORM FROM resource WHERE account_id = p_account AND id = ANY (p_hosts)
      ORDER BY id FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM unnest(p_calendars || p_hosts, p_calendar_versions || p_host_versions)
                 AS k (id, version)
               LEFT JOIN resource r ON r.account_id = p_account AND r.id = k.id
               WHERE r.version IS DISTINCT FROM k.version) THEN
        RETURN false;
    END IF;
    PERFORM FROM session WHERE account_id = p_account AND id = ANY (p_sessions)
      ORDER BY id FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM unnest(p_sessions, p_revisions) AS k (id, revision)
               LEFT JOIN session s ON s.account_id = p_account AND s.id = k.id AND s.closed_at IS NULL
               WHERE s.revision IS DISTINCT FROM k.revision) THEN
        RETURN false;
    END IF;
    IF p_sequence > 0 THEN
        PERFORM FROM appointment
          WHERE account_id = p_account AND id = p_appointment FOR NO KEY UPDATE;
        IF NOT EXISTS (SELECT FROM appointment WHERE account_id = p_account
                       AND id = p_appointment AND sequence = p_sequence) THEN
            RETURN false;
        END IF;
    END IF;

    -- Leave before entering, so that overlapping oneself is free.
    UPDATE appointment SET seat = NULL, occupies = false
     WHERE p_sequence > 0 AND account_id = p_account AND id = p_appointment;
    IF p_plan ? 'close' THEN
        UPDATE session SET closed_at = clock_timestamp()
         WHERE account_id = p_account AND id = (p_plan ->> 'close')::uuid;
        DELETE FROM allocation
         WHERE account_id = p_account AND session_id = (p_plan ->> 'close')::uuid;
    END IF;
    o := p_plan -> 'open';
    IF o IS NOT NULL THEN
        INSERT INTO session (account_id, id, calendar_id, host_id, hosts, starts, ends, shared)
        SELECT p_account, s.id, s.calendar_id, s.hosts[1], s.hosts, s.starts, s.ends, s.shared
          FROM jsonb_to_record(o) AS s (id uuid, calendar_id uuid, hosts uuid[], starts timestamptz,
                                        ends timestamptz, shared boolean);
        INSERT INTO allocation (account_id, session_id, resource_id, during, buffer_before, buffer_after)
        SELECT p_account, s.id, host, tstzrange(s.starts, s.ends), s.before, s.after
          FROM jsonb_to_record(o) AS s (id uuid, hosts uuid[], starts timestamptz, ends timestamptz,
                                        before int, after int),
               unnest(s.hosts) AS host;
    END IF;
    o := p_plan -> 'stretch';
    IF o IS NOT NULL THEN
        UPDATE session SET ends = (o ->> 'ends')::timestamptz
         WHERE account_id = p_account AND id = (o ->> 'id')::uuid;
        UPDATE allocation SET during = tstzrange(lower(during), (o ->> 'ends')::timestamptz)
         WHERE account_id = p_account AND session_id = (o ->> 'id')::uuid;
    END IF;

    INSERT INTO appointment (account_id, id, calendar_id, location_id, contact_id, session_id, seat,
                             starts, ends, local_day, occupies, version, sequence, state, deleted_at)
    SELECT p_account, p_appointment, a.calendar_id, a.location_id, a.contact_id, a.session_id, a.seat,
           a.starts, a.ends, a.local_day, a.seat IS NOT NULL, a.version, a.sequence, a.state, a.deleted_at
      FROM jsonb_to_record(p_plan -> 'appointment') AS a (
           calendar_id uuid, location_id uuid, contact_id uuid, session_id uuid, seat int,
           starts timestamptz, ends timestamptz, local_day date, version bigint, sequence bigint,
           state jsonb, deleted_at timestamptz)
    ON CONFLICT (account_id, id) DO UPDATE
       SET calendar_id = excluded.calendar_id, location_id = excluded.location_id,
           session_id = excluded.session_id, seat = excluded.seat, starts = excluded.starts,
           ends = excluded.ends, local_day = excluded.local_day, occupies = excluded.occupies,
           version = excluded.version, sequence = excluded.sequence, state = excluded.state,
           deleted_at = excluded.deleted_at;

    INSERT INTO outbox (event_id, topic, type, source, subject, sequence, account_id, dataschema,
                        time, traceparent, body)
    SELECT e.event_id, e.topic, e.type, e.source, e.subject, e.sequence, p_account, e.dataschema,
           e.time, e.traceparent, convert_to(e.body, 'UTF8')
      FROM jsonb_to_record(p_plan -> 'event') AS e (
           event_id uuid, topic text, type text, source text, subject text, sequence bigint,
           dataschema text, time timestamptz, traceparent text, body text);

    UPDATE resource SET version = version + 1
     WHERE account_id = p_account
       AND (id = ANY (p_hosts) OR (p_count AND id = ANY (p_calendars)));
    RETURN true;
END
$$;
