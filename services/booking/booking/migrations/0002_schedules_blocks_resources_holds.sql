-- Schedules, block slots, rooms and equipment, groups, and seats that are held for a while.

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
-- `resource`, like those of everything else that can be taken.
CREATE TABLE asset (
    account_id   uuid   NOT NULL,
    id           uuid   NOT NULL,
    location_id  uuid   NOT NULL,
    calendar_ids uuid[] NOT NULL,
    state        jsonb  NOT NULL,
    deleted_at   timestamptz,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX asset_calendars ON asset USING gin (calendar_ids) WHERE deleted_at IS NULL;

CREATE TABLE calendar_group (
    account_id   uuid   NOT NULL,
    id           uuid   NOT NULL,
    location_id  uuid   NOT NULL,
    calendar_ids uuid[] NOT NULL DEFAULT '{}',  -- always empty: calendars name their group
    state        jsonb  NOT NULL,
    deleted_at   timestamptz,
    PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX calendar_group_slug ON calendar_group (account_id, location_id, (state ->> 'slug'))
    WHERE deleted_at IS NULL;

CREATE TABLE block_slot (
    account_id  uuid      NOT NULL,
    id          uuid      NOT NULL,
    location_id uuid      NOT NULL,
    blocks      uuid      NOT NULL,   -- a calendar, a user, or an asset
    during      tstzrange NOT NULL CHECK (NOT isempty(during)),
    state       jsonb     NOT NULL,
    deleted_at  timestamptz,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX block_slot_during ON block_slot USING gist (account_id, blocks, during)
    WHERE deleted_at IS NULL;

-- The schedules and assets that apply to a calendar, put on its row by `reapply`: a booking reads
-- one row. `applied_version` grows with them, so that nobody computes with what was.
ALTER TABLE calendar
    ADD COLUMN applied         jsonb  NOT NULL DEFAULT '{}',  -- {schedules: […], resources: […]}
    ADD COLUMN applied_version bigint NOT NULL DEFAULT 0,
    ADD COLUMN needs           uuid[] NOT NULL DEFAULT '{}';  -- the active ones of these resources
CREATE INDEX calendar_in_group ON calendar (account_id, (settings ->> 'groupId'))
    WHERE deleted_at IS NULL;

-- The calendars' rows must be locked before, in a statement of its own: what is read here has then
-- been committed by whoever held the lock.
CREATE FUNCTION reapply(p_account uuid, p_calendars uuid[]) RETURNS void LANGUAGE sql AS $$
    UPDATE calendar c
       SET applied_version = applied_version + 1,
           needs = ARRAY(SELECT a.id FROM asset a
                          WHERE a.account_id = p_account AND a.calendar_ids @> ARRAY[c.id]
                            AND a.deleted_at IS NULL AND (a.state ->> 'isActive')::boolean
                          ORDER BY a.id),
           applied = jsonb_build_object(
               'schedules', coalesce(
                   (SELECT jsonb_agg(s.state ORDER BY s.id) FROM schedule s
                     WHERE s.account_id = p_account AND s.calendar_ids @> ARRAY[c.id]
                       AND s.deleted_at IS NULL), '[]'),
               'resources', coalesce(
                   (SELECT jsonb_agg(a.state ORDER BY a.id) FROM asset a
                     WHERE a.account_id = p_account AND a.calendar_ids @> ARRAY[c.id]
                       AND a.deleted_at IS NULL), '[]'))
     WHERE c.account_id = p_account AND c.id = ANY (p_calendars);
$$;

-- Rooms and equipment of a session; rooms are allocated like hosts, equipment is counted.
-- `capacity`: how many seats it had when one was taken last; a calendar may have fewer since then.
ALTER TABLE session
    ADD COLUMN resources uuid[] NOT NULL DEFAULT '{}',
    ADD COLUMN capacity  int    NOT NULL DEFAULT 1;
UPDATE session s SET capacity = a.seats
  FROM (SELECT account_id, session_id, max(seat) AS seats FROM appointment
         WHERE occupies GROUP BY account_id, session_id) a
 WHERE a.account_id = s.account_id AND a.session_id = s.id AND a.seats > 1;

-- One unit of a piece of equipment in an open session.
CREATE TABLE in_use (
    account_id  uuid      NOT NULL,
    session_id  uuid      NOT NULL,
    resource_id uuid      NOT NULL,
    during      tstzrange NOT NULL CHECK (NOT isempty(during)),
    units       int       NOT NULL,  -- that could be in use at once when this one was taken
    PRIMARY KEY (account_id, session_id, resource_id)
);
CREATE INDEX in_use_during ON in_use USING gist (account_id, resource_id, during);

-- A held seat is a row without a contact, whose state is that of the hold.
ALTER TABLE appointment
    ADD COLUMN held_until timestamptz,
    ALTER COLUMN contact_id DROP NOT NULL,
    ADD CONSTRAINT held_or_somebodys CHECK ((held_until IS NULL) = (contact_id IS NOT NULL)),
    ADD CONSTRAINT held_seats CHECK (held_until IS NULL OR occupies);
CREATE INDEX appointment_held ON appointment (held_until) WHERE held_until IS NOT NULL;

-- The most units that are in use at once in the given time, with whatever began before it.
CREATE FUNCTION most_in_use(p_account uuid, p_resource uuid, p_during tstzrange)
RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(n), 0) FROM (
        SELECT count(*) AS n
          FROM in_use u
          JOIN in_use v ON v.account_id = p_account AND v.resource_id = p_resource
                       AND v.during @> greatest(lower(u.during), lower(p_during))
         WHERE u.account_id = p_account AND u.resource_id = p_resource AND u.during && p_during
         GROUP BY u.session_id) AS at_each_start;
$$;

-- Write down a decision that was taken on what was read without locks, if it still holds.
--
-- Locks in one order everywhere: calendars, then hosts, rooms and equipment by id, then sessions,
-- then the appointment. Each statement of a volatile function sees what was committed before *it*
-- began, so what is compared here is compared under the locks. Answers false, and has done
-- nothing, when anything the decision was based on has changed.
--
-- `p_row` is the seat after it, null when it goes; its state is the one in the first event's body.
-- `p_session` is a session to open, or one whose place changes because nobody else sits in it.
-- The form of 0001 stays until no process of that version runs any more.
CREATE FUNCTION settle(
    p_account uuid,
    p_calendars uuid[], p_calendar_versions bigint[],
    p_count boolean,                                    -- it changes what the calendars allow
    p_taken uuid[], p_taken_versions bigint[],
    p_sessions uuid[], p_revisions bigint[],
    p_appointment uuid, p_sequence bigint,              -- sequence 0: it must not exist yet
    p_row jsonb, p_session jsonb, p_close uuid,
    p_events jsonb, p_bodies bytea[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    o record;
BEGIN
    IF p_count THEN
        PERFORM FROM resource WHERE account_id = p_account AND id = ANY (p_calendars)
          ORDER BY id FOR NO KEY UPDATE;
    ELSE
        PERFORM FROM resource WHERE account_id = p_account AND id = ANY (p_calendars)
          ORDER BY id FOR SHARE;
    END IF;
    PERFORM FROM resource WHERE account_id = p_account AND id = ANY (p_taken)
      ORDER BY id FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM unnest(p_calendars || p_taken, p_calendar_versions || p_taken_versions)
                 AS k (id, version)
               LEFT JOIN resource r ON r.account_id = p_account AND r.id = k.id
               WHERE r.version IS DISTINCT FROM k.version) THEN
        RETURN false;
    END IF;
    IF cardinality(p_sessions) > 0 THEN
        PERFORM FROM session WHERE account_id = p_account AND id = ANY (p_sessions)
          ORDER BY id FOR NO KEY UPDATE;
        IF EXISTS (SELECT FROM unnest(p_sessions, p_revisions) AS k (id, revision)
                   LEFT JOIN session s
                     ON s.account_id = p_account AND s.id = k.id AND s.closed_at IS NULL
                   WHERE s.revision IS DISTINCT FROM k.revision) THEN
            RETURN false;
        END IF;
    END IF;
    IF p_sequence > 0 THEN
        PERFORM FROM appointment
          WHERE account_id = p_account AND id = p_appointment FOR NO KEY UPDATE;
        IF NOT EXISTS (SELECT FROM appointment WHERE account_id = p_account
                       AND id = p_appointment AND sequence = p_sequence) THEN
            RETURN false;
        END IF;
        -- Leave before entering, so that overlapping oneself is free.
        IF p_row IS NULL THEN
            DELETE FROM appointment WHERE account_id = p_account AND id = p_appointment;
        ELSE
            UPDATE appointment SET seat = NULL, occupies = false, held_until = NULL,
                   contact_id = coalesce(contact_id, (p_row ->> 'contact_id')::uuid)
             WHERE account_id = p_account AND id = p_appointment;
        END IF;
        IF p_close IS NOT NULL THEN
            UPDATE session SET closed_at = clock_timestamp()
             WHERE account_id = p_account AND id = p_close;
            DELETE FROM allocation WHERE account_id = p_account AND session_id = p_close;
            DELETE FROM in_use WHERE account_id = p_account AND session_id = p_close;
        END IF;
    END IF;

    IF p_session IS NOT NULL THEN
        SELECT s.* INTO o FROM jsonb_to_record(p_session) AS s (
            id uuid, calendar_id uuid, hosts uuid[], rooms uuid[], equipment uuid[], units int[],
            starts timestamptz, ends timestamptz, shared boolean, capacity int,
            before int, after int, opens boolean);
        IF o.opens THEN
            INSERT INTO session (account_id, id, calendar_id, host_id, hosts, resources,
                                 starts, ends, shared, capacity)
            VALUES (p_account, o.id, o.calendar_id, o.hosts[1], o.hosts, o.rooms || o.equipment,
                    o.starts, o.ends, o.shared, o.capacity);
        ELSE
            UPDATE session SET resources = o.rooms || o.equipment, ends = o.ends
             WHERE account_id = p_account AND id = o.id;
            DELETE FROM allocation WHERE account_id = p_account AND session_id = o.id;
            DELETE FROM in_use WHERE account_id = p_account AND session_id = o.id;
        END IF;
        INSERT INTO allocation (account_id, session_id, resource_id, during,
                                buffer_before, buffer_after)
        SELECT p_account, o.id, r, tstzrange(o.starts, o.ends), o.before, o.after
          FROM unnest(o.hosts || o.rooms) AS r;
        IF cardinality(o.equipment) > 0 THEN
            INSERT INTO in_use (account_id, session_id, resource_id, during, units)
            SELECT p_account, o.id, e.id, tstzrange(o.starts, o.ends), e.units
              FROM unnest(o.equipment, o.units) AS e (id, units);
            IF EXISTS (SELECT FROM unnest(o.equipment, o.units) AS e (id, units)
                        WHERE most_in_use(p_account, e.id, tstzrange(o.starts, o.ends)) > e.units) THEN
                RAISE exclusion_violation USING MESSAGE = 'more equipment than there is';
            END IF;
        END IF;
    ELSIF p_row IS NOT NULL THEN
        UPDATE session SET capacity = (p_row ->> 'capacity')::int
         WHERE account_id = p_account AND id = (p_row ->> 'session_id')::uuid
           AND capacity < (p_row ->> 'capacity')::int;
    END IF;

    INSERT INTO appointment (account_id, id, calendar_id, location_id, contact_id, session_id, seat,
                             starts, ends, local_day, occupies, version, sequence, state,
                             deleted_at, held_until)
    SELECT p_account, p_appointment, a.calendar_id, a.location_id, a.contact_id, a.session_id, a.seat,
           a.starts, a.ends, a.local_day, a.seat IS NOT NULL, a.version, a.sequence,
           convert_from(p_bodies[1], 'UTF8')::jsonb -> 'state', a.deleted_at, a.held_until
      FROM jsonb_to_record(p_row) AS a (
           calendar_id uuid, location_id uuid, contact_id uuid, session_id uuid, seat int,
           starts timestamptz, ends timestamptz, local_day date, version bigint, sequence bigint,
           deleted_at timestamptz, held_until timestamptz)
     WHERE p_row IS NOT NULL
    ON CONFLICT (account_id, id) DO UPDATE
       SET calendar_id = excluded.calendar_id, location_id = excluded.location_id,
           session_id = excluded.session_id, seat = excluded.seat, starts = excluded.starts,
           ends = excluded.ends, local_day = excluded.local_day, occupies = excluded.occupies,
           version = excluded.version, sequence = excluded.sequence, state = excluded.state,
           deleted_at = excluded.deleted_at, held_until = excluded.held_until;

    -- A session that others were in or stay in lasts as long as the longest of its appointments.
    IF cardinality(p_sessions) > 0 THEN
        FOR o IN
            UPDATE session s SET ends = a.ends
              FROM (SELECT session_id, max(ends) AS ends FROM appointment
                     WHERE account_id = p_account AND session_id = ANY (p_sessions) AND occupies
                     GROUP BY session_id) AS a
             WHERE s.account_id = p_account AND s.id = a.session_id AND s.ends <> a.ends
            RETURNING s.id, tstzrange(s.starts, s.ends) AS during
        LOOP
            UPDATE allocation SET during = o.during WHERE account_id = p_account AND session_id = o.id;
            UPDATE in_use SET during = o.during WHERE account_id = p_account AND session_id = o.id;
        END LOOP;
    END IF;

    INSERT INTO outbox (event_id, topic, type, source, subject, sequence, account_id, dataschema,
                        time, traceparent, body)
    SELECT e.event_id, e.topic, e.type, e.source, e.subject, e.sequence, p_account, e.dataschema,
           e.time, e.traceparent, p_bodies[e.number]
      FROM jsonb_to_recordset(p_events) AS e (
           number int, event_id uuid, topic text, type text, source text, subject text,
           sequence bigint, dataschema text, time timestamptz, traceparent text)
     ORDER BY e.number;

    UPDATE resource SET version = version + 1
     WHERE account_id = p_account
       AND (id = ANY (p_taken) OR (p_count AND id = ANY (p_calendars)));
    RETURN true;
END
$$;
