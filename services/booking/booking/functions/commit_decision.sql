-- The most units of a piece of equipment that are in use at once within `p_during`, those that began
-- before it included.
CREATE OR REPLACE FUNCTION count_units_in_use(p_account uuid, p_resource uuid, p_during tstzrange)
RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(n), 0) FROM (
        SELECT count(*) AS n
          FROM equipment_use u
          JOIN equipment_use v ON v.account_id = p_account AND v.resource_id = p_resource
                       AND v.during @> greatest(lower(u.during), lower(p_during))
         WHERE u.account_id = p_account AND u.resource_id = p_resource AND u.during && p_during
         GROUP BY u.session_id) AS at_each_start;
$$;

-- Writes a decision that was read without locks, if everything it is based on is still as it was read.
-- Returns false, and has written nothing, when anything has changed.
--
-- Locks are taken in one order everywhere: calendars, then hosts, rooms and equipment by id, then
-- sessions, then the appointment. Each statement of a volatile function sees what was committed before
-- the statement began, so versions are compared under the locks. They are given and compared in the
-- order of the ids, in which the locks are taken: a row that was locked by another transaction is read
-- again once its lock is granted.
--
-- `p_row` is the seat after the decision, null when the seat is given back; its state is the one in the
-- first event's body. `p_session` is a session to open, or an open one without other appointments,
-- whose time and resources change.
CREATE OR REPLACE FUNCTION commit_decision(
    p_account uuid,
    p_calendars uuid[], p_calendar_versions bigint[],
    p_count boolean,                                    -- the calendars' versions grow as well
    p_taken uuid[], p_taken_versions bigint[],
    p_sessions uuid[], p_revisions bigint[],
    p_appointment uuid, p_sequence bigint,              -- sequence 0: there must be no such appointment
    p_row jsonb, p_session jsonb, p_close uuid,
    p_events jsonb, p_bodies bytea[]
) RETURNS boolean LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    o record;
    found bigint[];
BEGIN
    IF p_count THEN
        SELECT array_agg(r.version) INTO found FROM (
            SELECT version FROM resource WHERE account_id = p_account AND id = ANY (p_calendars)
             ORDER BY id FOR NO KEY UPDATE) AS r;
    ELSE
        SELECT array_agg(r.version) INTO found FROM (
            SELECT version FROM resource WHERE account_id = p_account AND id = ANY (p_calendars)
             ORDER BY id FOR SHARE) AS r;
    END IF;
    IF found IS DISTINCT FROM p_calendar_versions THEN
        RETURN false;
    END IF;
    IF cardinality(p_taken) > 0 THEN
        SELECT array_agg(r.version) INTO found FROM (
            SELECT version FROM resource WHERE account_id = p_account AND id = ANY (p_taken)
             ORDER BY id FOR NO KEY UPDATE) AS r;
        IF found IS DISTINCT FROM p_taken_versions THEN
            RETURN false;
        END IF;
    END IF;
    IF cardinality(p_sessions) > 0 THEN
        PERFORM FROM session WHERE account_id = p_account AND id = ANY (p_sessions)
          ORDER BY id FOR NO KEY UPDATE;
        IF EXISTS (SELECT FROM unnest(p_sessions, p_revisions) AS k (id, revision)
                   LEFT JOIN session s ON s.account_id = p_account AND s.id = k.id
                   WHERE s.closed_at IS NOT NULL OR s.revision IS DISTINCT FROM k.revision) THEN
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
        -- The old time is given back first, so that an appointment may overlap its own old time.
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
            DELETE FROM equipment_use WHERE account_id = p_account AND session_id = p_close;
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
            DELETE FROM equipment_use WHERE account_id = p_account AND session_id = o.id;
        END IF;
        INSERT INTO allocation (account_id, session_id, resource_id, during,
                                buffer_before, buffer_after)
        SELECT p_account, o.id, r, tstzrange(o.starts, o.ends), o.before, o.after
          FROM unnest(o.hosts || o.rooms) AS r;
        IF cardinality(o.equipment) > 0 THEN
            INSERT INTO equipment_use (account_id, session_id, resource_id, during, units)
            SELECT p_account, o.id, e.id, tstzrange(o.starts, o.ends), e.units
              FROM unnest(o.equipment, o.units) AS e (id, units);
            IF EXISTS (SELECT FROM unnest(o.equipment, o.units) AS e (id, units)
                        WHERE count_units_in_use(p_account, e.id,
                                                 tstzrange(o.starts, o.ends)) > e.units) THEN
                RAISE exclusion_violation USING MESSAGE = 'more units in use than there are';
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

    -- A session of several appointments ends with the one that ends last.
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
            UPDATE equipment_use SET during = o.during WHERE account_id = p_account AND session_id = o.id;
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
       AND id = ANY (CASE WHEN p_count THEN p_taken || p_calendars ELSE p_taken END);
    RETURN true;
END
$$;
