-- What is busy for these resources within `p_during`: one index search each, whatever else the account
-- has. Of equipment (`p_equipment`) each unit in use is a row, for there may be several.
CREATE OR REPLACE FUNCTION list_busy_times(
    p_account uuid, p_ids uuid[], p_equipment uuid[], p_during tstzrange
) RETURNS TABLE (resource_id uuid, during tstzrange, buffer_before int, buffer_after int)
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
    SELECT n.id, u.during, 0, 0 FROM (SELECT DISTINCT unnest(p_equipment)) AS n (id)
     CROSS JOIN LATERAL (
        SELECT e.during FROM equipment_use e
         WHERE e.account_id = p_account AND e.resource_id = n.id AND e.during && p_during) AS u
$$;

-- Everything that a decision is based on, in one row; no row when there is no such calendar.
--
-- STABLE: all of it is seen at one moment, that of the calling statement. Each look-up is a statement
-- of its own with an index of its own, planned once for a connection: planning one large statement
-- took longer than reading, and its plan read whole accounts when the statistics were poor.
CREATE OR REPLACE FUNCTION decision_snapshot(
    p_account uuid, p_calendar uuid,
    p_during tstzrange,     -- around the requested time
    p_starts timestamptz,
    p_occupied uuid[],      -- hosts, rooms and equipment of the appointment that is changed
    p_session uuid,         -- its session
    p_day date,             -- of the start, in UTC
    p_appointment uuid,     -- the appointment or hold that is changed
    p_now timestamptz, p_deleted_too boolean,
    p_contact uuid          -- of a new appointment
) RETURNS TABLE (
    calendar calendar,
    resources uuid[], versions bigint[],
    busy_who uuid[], busy_from bigint[], busy_to bigint[], busy_before int[], busy_after int[],
    session_ids uuid[],
    days date[], on_day bigint[],
    seat int,
    expired uuid[],
    contact_name text     -- null: no contact of the account
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
    touched := p_calendar || calendar.hosts || calendar.needs || p_occupied;

    SELECT array_agg(r.id ORDER BY r.id), array_agg(r.version ORDER BY r.id)
      INTO resources, versions
      FROM resource r WHERE r.account_id = p_account AND r.id = ANY (touched);

    SELECT array_agg(b.resource_id),
           array_agg((extract(epoch FROM lower(b.during)) * 1000)::bigint),
           array_agg((extract(epoch FROM upper(b.during)) * 1000)::bigint),
           array_agg(b.buffer_before), array_agg(b.buffer_after)
      INTO busy_who, busy_from, busy_to, busy_before, busy_after
      FROM list_busy_times(p_account, touched, calendar.needs || p_occupied, p_during) AS b;

    session_ids := ARRAY(
        SELECT s.id FROM session s
         WHERE s.account_id = p_account AND s.calendar_id = p_calendar AND s.starts = p_starts
           AND s.closed_at IS NULL);
    IF p_session IS NOT NULL AND p_session <> ALL (session_ids) THEN
        -- `closed_at` is read and not searched for: else the planner might choose the index of open sessions.
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

    IF p_appointment IS NOT NULL THEN
        SELECT a.seat INTO seat FROM appointment a
         WHERE a.account_id = p_account AND a.id = p_appointment;
    END IF;

    IF p_contact IS NOT NULL THEN
        SELECT k.name INTO contact_name FROM known_contact k
         WHERE k.account_id = p_account AND k.id = p_contact;
    END IF;

    -- Few holds wait to be released, so the index `appointment_held` is the one to use: IS NOT DISTINCT
    -- FROM keeps the planner from the indexes that begin with the account.
    expired := ARRAY(
        SELECT a.id FROM appointment a
         WHERE a.held_until <= p_now AND a.account_id IS NOT DISTINCT FROM p_account
           AND tstzrange(a.starts, a.ends) && p_during ORDER BY a.id);
    RETURN NEXT;
END
$$;
