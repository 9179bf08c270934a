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
-- The document:
--     account, id                    of the appointment or hold
--     sequence, held                 as it was read, and whether it was a hold; null: there was none
--     closes                         the session that it leaves as the last one
--     calendars, calendar_versions   as read, by id
--     counts                         the calendars' versions grow as well
--     taken, taken_versions          hosts, rooms and equipment whose time is taken or given back, by id
--     sessions, revisions            open sessions that are entered or left
--     after                          the row afterwards, without its state; null: the seat is given back.
--                                    `stays`: it keeps its seat, and with it its `unique_contact`
--     session                        a session to open, or an open one without other appointments, whose
--                                    time and resources change
--     events                         rows of the outbox with their bodies; the state in the body of the
--                                    first is that of `after`
-- It is json and not jsonb: bodies are kept byte by byte.
--
-- Locks are taken in one order everywhere: calendars, then hosts, rooms and equipment by id, then
-- sessions, then the appointment. Each statement of a volatile function sees what was committed before
-- the statement began, so versions are compared under the locks. They are given and compared in the
-- order of the ids, in which the locks are taken: a row that was locked by another transaction is read
-- again once its lock is granted.
CREATE OR REPLACE FUNCTION commit_decision(p_decision json)
RETURNS boolean LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    d record;
    o record;
    seen bigint[];
BEGIN
    SELECT * INTO d FROM json_to_record(p_decision) AS x (
        account uuid, id uuid, sequence bigint, held boolean, closes uuid,
        calendars uuid[], calendar_versions bigint[], counts boolean,
        taken uuid[], taken_versions bigint[], sessions uuid[], revisions bigint[],
        after json, session json, events json);

    IF d.counts THEN
        SELECT array_agg(r.version) INTO seen FROM (
            SELECT version FROM bookable WHERE account_id = d.account AND id = ANY (d.calendars)
             ORDER BY id FOR NO KEY UPDATE) AS r;
    ELSE
        SELECT array_agg(r.version) INTO seen FROM (
            SELECT version FROM bookable WHERE account_id = d.account AND id = ANY (d.calendars)
             ORDER BY id FOR SHARE) AS r;
    END IF;
    IF seen IS DISTINCT FROM d.calendar_versions THEN
        RETURN false;
    END IF;
    IF cardinality(d.taken) > 0 THEN
        SELECT array_agg(r.version) INTO seen FROM (
            SELECT version FROM bookable WHERE account_id = d.account AND id = ANY (d.taken)
             ORDER BY id FOR NO KEY UPDATE) AS r;
        IF seen IS DISTINCT FROM d.taken_versions THEN
            RETURN false;
        END IF;
    END IF;
    IF cardinality(d.sessions) > 0 THEN
        PERFORM FROM session WHERE account_id = d.account AND id = ANY (d.sessions)
          ORDER BY id FOR NO KEY UPDATE;
        IF EXISTS (SELECT FROM unnest(d.sessions, d.revisions) AS k (id, revision)
                   LEFT JOIN session s ON s.account_id = d.account AND s.id = k.id
                   WHERE s.closed_at IS NOT NULL OR s.revision IS DISTINCT FROM k.revision) THEN
            RETURN false;
        END IF;
    END IF;
    IF d.sequence IS NOT NULL THEN
        -- A hold and the appointment that was made of it both begin with sequence 1.
        SELECT sequence, held_until INTO o FROM appointment
         WHERE account_id = d.account AND id = d.id FOR NO KEY UPDATE;
        IF o.sequence IS DISTINCT FROM d.sequence OR (o.held_until IS NOT NULL) <> d.held THEN
            RETURN false;
        END IF;
        -- The old time is given back first, so that an appointment may overlap its own old time.
        IF d.after IS NULL THEN
            DELETE FROM appointment WHERE account_id = d.account AND id = d.id;
        ELSE
            UPDATE appointment SET seat = NULL, occupies = false, held_until = NULL,
                   contact_id = coalesce(contact_id, (d.after ->> 'contact_id')::uuid)
             WHERE account_id = d.account AND id = d.id;
        END IF;
        IF d.closes IS NOT NULL THEN
            UPDATE session SET closed_at = clock_timestamp()
             WHERE account_id = d.account AND id = d.closes;
            DELETE FROM allocation WHERE account_id = d.account AND session_id = d.closes;
            DELETE FROM equipment_use WHERE account_id = d.account AND session_id = d.closes;
        END IF;
    END IF;

    IF d.session IS NOT NULL THEN
        SELECT s.* INTO o FROM json_to_record(d.session) AS s (
            id uuid, calendar_id uuid, hosts uuid[], rooms uuid[], equipment uuid[], units int[],
            starts timestamptz, ends timestamptz, shared boolean, capacity int,
            before int, after int, opens boolean);
        IF o.opens THEN
            INSERT INTO session (account_id, id, calendar_id, host_id, hosts, resources,
                                 starts, ends, shared, capacity)
            VALUES (d.account, o.id, o.calendar_id, o.hosts[1], o.hosts, o.rooms || o.equipment,
                    o.starts, o.ends, o.shared, o.capacity);
        ELSE
            UPDATE session SET resources = o.rooms || o.equipment, ends = o.ends
             WHERE account_id = d.account AND id = o.id;
            DELETE FROM allocation WHERE account_id = d.account AND session_id = o.id;
            DELETE FROM equipment_use WHERE account_id = d.account AND session_id = o.id;
        END IF;
        INSERT INTO allocation (account_id, session_id, bookable_id, during,
                                buffer_before, buffer_after)
        SELECT d.account, o.id, r, tstzrange(o.starts, o.ends), o.before, o.after
          FROM unnest(o.hosts || o.rooms) AS r;
        IF cardinality(o.equipment) > 0 THEN
            INSERT INTO equipment_use (account_id, session_id, resource_id, during, units)
            SELECT d.account, o.id, e.id, tstzrange(o.starts, o.ends), e.units
              FROM unnest(o.equipment, o.units) AS e (id, units);
            IF EXISTS (SELECT FROM unnest(o.equipment, o.units) AS e (id, units)
                        WHERE count_units_in_use(d.account, e.id,
                                                 tstzrange(o.starts, o.ends)) > e.units) THEN
                RAISE exclusion_violation USING MESSAGE = 'more units in use than there are';
            END IF;
        END IF;
    ELSIF d.after IS NOT NULL THEN
        UPDATE session SET capacity = (d.after ->> 'capacity')::int
         WHERE account_id = d.account AND id = (d.after ->> 'session_id')::uuid
           AND capacity < (d.after ->> 'capacity')::int;
    END IF;

    IF d.after IS NOT NULL THEN
        INSERT INTO appointment (account_id, id, calendar_id, location_id, contact_id, session_id,
                                 seat, starts, ends, local_day, occupies, version, sequence, state,
                                 deleted_at, held_until, unique_contact)
        SELECT d.account, d.id, a.calendar_id, a.location_id, a.contact_id, a.session_id,
               a.seat, a.starts, a.ends, a.local_day, a.seat IS NOT NULL, a.version, a.sequence,
               (d.events -> 0 -> 'body' -> 'state')::jsonb, a.deleted_at, a.held_until,
               a.unique_contact
          FROM json_to_record(d.after) AS a (
               calendar_id uuid, location_id uuid, contact_id uuid, session_id uuid, seat int,
               starts timestamptz, ends timestamptz, local_day date, version bigint,
               sequence bigint, deleted_at timestamptz, held_until timestamptz,
               unique_contact uuid)
        ON CONFLICT (account_id, id) DO UPDATE
           SET calendar_id = excluded.calendar_id, location_id = excluded.location_id,
               session_id = excluded.session_id, seat = excluded.seat, starts = excluded.starts,
               unique_contact = CASE WHEN (d.after ->> 'stays')::boolean
                                     THEN appointment.unique_contact
                                     ELSE excluded.unique_contact END,
               ends = excluded.ends, local_day = excluded.local_day, occupies = excluded.occupies,
               version = excluded.version, sequence = excluded.sequence, state = excluded.state,
               deleted_at = excluded.deleted_at, held_until = excluded.held_until
         WHERE d.sequence IS NOT NULL;
        IF NOT FOUND THEN  -- a new one, whose id is taken: nothing has been written for it
            RAISE unique_violation USING MESSAGE = 'there is an appointment of this id';
        END IF;
    END IF;

    -- A session of several appointments ends with the one that ends last.
    IF cardinality(d.sessions) > 0 THEN
        FOR o IN
            UPDATE session s SET ends = a.ends
              FROM (SELECT session_id, max(ends) AS ends FROM appointment
                     WHERE account_id = d.account AND session_id = ANY (d.sessions) AND occupies
                     GROUP BY session_id) AS a
             WHERE s.account_id = d.account AND s.id = a.session_id AND s.ends <> a.ends
            RETURNING s.id, tstzrange(s.starts, s.ends) AS during
        LOOP
            UPDATE allocation SET during = o.during
             WHERE account_id = d.account AND session_id = o.id;
            UPDATE equipment_use SET during = o.during
             WHERE account_id = d.account AND session_id = o.id;
        END LOOP;
    END IF;

    INSERT INTO outbox (event_id, topic, type, source, subject, sequence, account_id, dataschema,
                        time, traceparent, body)
    SELECT e.event_id, e.topic, e.type, e.source, e.subject, e.sequence, d.account, e.dataschema,
           e.time, e.traceparent, convert_to(e.body::text, 'UTF8')
      FROM ROWS FROM (json_to_recordset(d.events) AS (
           event_id uuid, topic text, type text, source text, subject text,
           sequence bigint, dataschema text, time timestamptz, traceparent text, body json))
           WITH ORDINALITY AS e
     ORDER BY e.ordinality;

    UPDATE bookable SET version = version + 1
     WHERE account_id = d.account
       AND id = ANY (CASE WHEN d.counts THEN d.taken || d.calendars ELSE d.taken END);
    RETURN true;
END
$$;

-- Writes several decisions of different requests, each as if it came alone: true, it is written; false,
-- it is outdated, perhaps by one that stands before it; null, somebody else holds a lock that it needs,
-- so it has to come alone and wait. So none waits for the locks of another one, and there is no deadlock.
--
-- For decisions on new appointments in new sessions that count nothing. An error undoes all of them.
CREATE OR REPLACE FUNCTION commit_decisions(p_decisions json)
RETURNS boolean[] LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    one record;
    locked uuid[];
    results boolean[] := '{}';
BEGIN
    locked := ARRAY(
        SELECT b.id FROM (SELECT DISTINCT d.account, unnest(d.calendars) AS id
                            FROM json_to_recordset(p_decisions) AS d (account uuid, calendars uuid[])) AS k
          JOIN bookable b ON b.account_id = k.account AND b.id = k.id
         ORDER BY b.account_id, b.id FOR SHARE OF b SKIP LOCKED);
    locked := locked || ARRAY(
        SELECT b.id FROM (SELECT DISTINCT d.account, unnest(d.taken) AS id
                            FROM json_to_recordset(p_decisions) AS d (account uuid, taken uuid[])) AS k
          JOIN bookable b ON b.account_id = k.account AND b.id = k.id
         ORDER BY b.account_id, b.id FOR NO KEY UPDATE OF b SKIP LOCKED);
    FOR one IN
        SELECT e.value, d.calendars || d.taken AS needs
          FROM json_array_elements(p_decisions) WITH ORDINALITY AS e (value, number),
               json_to_record(e.value) AS d (calendars uuid[], taken uuid[])
         ORDER BY e.number
    LOOP
        results := results || CASE WHEN one.needs <@ locked THEN commit_decision(one.value) END;
    END LOOP;
    RETURN results;
END
$$;

-- The same for one decision, which is cheaper: an error if it would have to wait for a lock for long.
CREATE OR REPLACE FUNCTION commit_soon(p_decision json)
RETURNS boolean LANGUAGE plpgsql SET lock_timeout = '20ms' AS $$
BEGIN
    RETURN commit_decision(p_decision);
END
$$;
