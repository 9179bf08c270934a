-- What a decision stands on, by one call whose plans are made once for a connection.
--
-- Planning took longer than looking, and the planner, who sees one statement with everything in it,
-- read all that an account has when it knew little of the tables. Step by step each look-up has an
-- index of its own, whatever there is, and what a calendar does not use is not looked for at all.

-- Sessions are looked for by calendar and start; who hosts them only makes them unique.
DROP INDEX session_open;
CREATE UNIQUE INDEX session_open ON session (account_id, calendar_id, starts, host_id)
    WHERE closed_at IS NULL;

-- Those that several may sit in are looked for over days, among many that only one sits in.
CREATE INDEX session_shared ON session (account_id, calendar_id, starts)
    WHERE closed_at IS NULL AND shared;

-- What takes the time of these resources: one index search each, whatever others have. Of equipment
-- (`p_needs`) each unit in use is told, for there may be several.
CREATE FUNCTION busy_in(p_account uuid, p_ids uuid[], p_needs uuid[], p_during tstzrange)
RETURNS TABLE (resource_id uuid, during tstzrange, buffer_before int, buffer_after int)
LANGUAGE sql STABLE AS $$
    SELECT t.id, b.* FROM (SELECT DISTINCT unnest(p_ids)) AS t (id) CROSS JOIN LATERAL (
        SELECT a.during, a.buffer_before, a.buffer_after FROM allocation a
         WHERE a.account_id = p_account AND a.resource_id = t.id AND a.during && p_during
        UNION ALL
        SELECT e.during, 0, 0 FROM external_busy e
         WHERE e.account_id = p_account AND e.resource_id = t.id AND e.during && p_during
        UNION ALL
        SELECT s.during, 0, 0 FROM block_slot s
         WHERE s.account_id = p_account AND s.blocks = t.id AND s.during && p_during
           AND s.deleted_at IS NULL) AS b
    UNION ALL
    SELECT n.id, u.during, 0, 0 FROM (SELECT DISTINCT unnest(p_needs)) AS n (id)
     CROSS JOIN LATERAL (
        SELECT i.during FROM in_use i
         WHERE i.account_id = p_account AND i.resource_id = n.id AND i.during && p_during) AS u
$$;

-- One row, or none when there is no such calendar. STABLE: all of it is seen at one moment, that of
-- the statement that calls it.
CREATE FUNCTION basis(
    p_account uuid, p_calendar uuid,
    p_during tstzrange,   -- what lies around the wanted time
    p_starts timestamptz,
    p_holds uuid[],       -- what the one who moves occupies now: hosts, rooms, equipment
    p_session uuid,       -- and sits in
    p_day date,           -- of the start in UTC
    p_seated uuid,        -- the appointment or hold itself
    p_now timestamptz, p_deleted_too boolean,
    p_contact uuid        -- who books
) RETURNS TABLE (
    calendar calendar,
    resources uuid[], versions bigint[],
    busy_who uuid[], busy_from bigint[], busy_to bigint[], busy_before int[], busy_after int[],
    session_ids uuid[],
    days date[], on_day bigint[],
    seat int,
    expired uuid[],
    contact_name text     -- null: unknown here
) LANGUAGE plpgsql STABLE ROWS 1
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    touched uuid[];
    is_open boolean;
BEGIN
    SELECT * INTO calendar FROM calendar c
     WHERE c.account_id = p_account AND c.id = p_calendar
       AND (c.deleted_at IS NULL OR p_deleted_too);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    touched := p_calendar || calendar.hosts || calendar.needs || p_holds;

    SELECT array_agg(r.id ORDER BY r.id), array_agg(r.version ORDER BY r.id)
      INTO resources, versions
      FROM resource r WHERE r.account_id = p_account AND r.id = ANY (touched);

    SELECT array_agg(b.resource_id),
           array_agg((extract(epoch FROM lower(b.during)) * 1000)::bigint),
           array_agg((extract(epoch FROM upper(b.during)) * 1000)::bigint),
           array_agg(b.buffer_before), array_agg(b.buffer_after)
      INTO busy_who, busy_from, busy_to, busy_before, busy_after
      FROM busy_in(p_account, touched, calendar.needs || p_holds, p_during) AS b;

    session_ids := ARRAY(
        SELECT s.id FROM session s
         WHERE s.account_id = p_account AND s.calendar_id = p_calendar AND s.starts = p_starts
           AND s.closed_at IS NULL);
    IF p_session IS NOT NULL AND p_session <> ALL (session_ids) THEN
        -- Whether it is closed is asked afterwards: else the index of the open ones would do as well.
        SELECT s.closed_at IS NULL INTO is_open FROM session s
         WHERE s.account_id = p_account AND s.id = p_session;
        IF is_open THEN
            session_ids := session_ids || p_session;
        END IF;
    END IF;

    IF (calendar.settings ->> 'appoinmentPerDay')::numeric > 0 THEN
        SELECT array_agg(c.local_day), array_agg(c.n) INTO days, on_day FROM (
            SELECT a.local_day, count(*) AS n FROM appointment a
             WHERE a.account_id = p_account AND a.calendar_id = p_calendar AND a.occupies
               AND a.local_day BETWEEN p_day - 1 AND p_day + 1
             GROUP BY a.local_day) AS c;
    END IF;

    IF p_seated IS NOT NULL THEN
        SELECT a.seat INTO seat FROM appointment a
         WHERE a.account_id = p_account AND a.id = p_seated;
    END IF;

    IF p_contact IS NOT NULL THEN
        SELECT k.name INTO contact_name FROM known_contact k
         WHERE k.account_id = p_account AND k.id = p_contact;
    END IF;

    -- Found by `appointment_held`, as few as wait to be given back: the account's are no index for it.
    expired := ARRAY(
        SELECT a.id FROM appointment a
         WHERE a.held_until <= p_now AND a.account_id IS NOT DISTINCT FROM p_account
           AND tstzrange(a.starts, a.ends) && p_during ORDER BY a.id);
    RETURN NEXT;
END
$$;

-- Write down a decision that was taken on what was read without locks, if it still holds: as in 0002.
-- The versions are compared in the order of the ids, in which they are given, as the locks are taken:
-- a row that somebody else was at is read anew once its lock is had.
CREATE OR REPLACE FUNCTION settle(
    p_account uuid,
    p_calendars uuid[], p_calendar_versions bigint[],
    p_count boolean,                                    -- it changes what the calendars allow
    p_taken uuid[], p_taken_versions bigint[],
    p_sessions uuid[], p_revisions bigint[],
    p_appointment uuid, p_sequence bigint,              -- sequence 0: it must not exist yet
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
       AND id = ANY (CASE WHEN p_count THEN p_taken || p_calendars ELSE p_taken END);
    RETURN true;
END
$$;
