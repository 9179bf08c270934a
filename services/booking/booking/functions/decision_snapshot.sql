DROP FUNCTION IF EXISTS decision_snapshot(
    uuid, uuid, boolean, uuid, timestamptz, timestamptz, timestamptz, boolean, uuid);

-- What is busy for these within `p_during`: one index search each, whatever else the account has. Of
-- equipment (`p_equipment`) each unit in use is a row, for there may be several.
CREATE OR REPLACE FUNCTION list_busy_times(
    p_account uuid, p_ids uuid[], p_equipment uuid[], p_during tstzrange
) RETURNS TABLE (bookable_id uuid, during tstzrange, buffer_before int, buffer_after int)
LANGUAGE sql STABLE AS $$
    SELECT t.id, b.* FROM (SELECT DISTINCT unnest(p_ids)) AS t (id) CROSS JOIN LATERAL (
        SELECT a.during, a.buffer_before, a.buffer_after FROM allocation a
         WHERE a.account_id = p_account AND a.bookable_id = t.id AND a.during && p_during
        UNION ALL
        SELECT e.during, 0, 0 FROM external_busy e
         WHERE e.account_id = p_account AND e.bookable_id = t.id AND e.during && p_during
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

-- Everything that a decision is based on, in one row.
--
-- STABLE: all of it is seen at one moment, that of the calling statement, the appointment or hold that
-- is changed included. Each look-up is a statement of its own with an index of its own, planned once for
-- a connection: planning one large statement took longer than reading, and its plan read whole accounts
-- when the statistics were poor. For the same reason no look-up by primary key adds a condition that a
-- partial index knows: the planner might choose that index.
CREATE OR REPLACE FUNCTION decision_snapshot(
    p_account uuid,
    p_appointment uuid,     -- the appointment or hold that is changed
    p_held boolean,         -- it is a hold
    p_calendar uuid,        -- null: that of the appointment; so for the times
    p_starts timestamptz, p_ends timestamptz,
    p_now timestamptz, p_deleted_too boolean,
    p_contact uuid          -- of a new appointment
) RETURNS TABLE (
    before jsonb,           -- the appointment or hold as announced last; null: there is none
    calendar calendar,      -- null: there is none
    bookables uuid[], versions bigint[],
    busy_who uuid[], busy_from bigint[], busy_to bigint[], busy_before int[], busy_after int[],
    session_ids uuid[],
    days date[], on_day bigint[],
    seat int,
    expired uuid[],
    contact_name text,      -- null: no contact of the account
    former_host text        -- with `stickyContact`: the contact's host on this calendar before
) LANGUAGE plpgsql STABLE ROWS 1
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    own appointment;
    own_session session;
    v_calendar uuid := p_calendar;
    v_starts timestamptz := p_starts;
    v_during tstzrange;
    v_day date;
    occupied uuid[] := '{}';
    touched uuid[];
BEGIN
    IF p_appointment IS NOT NULL THEN
        SELECT * INTO own FROM appointment a
         WHERE a.account_id = p_account AND a.id = p_appointment;
        IF own.id IS NULL OR own.deleted_at IS NOT NULL
           OR (own.held_until IS NOT NULL) <> p_held THEN
            RETURN NEXT;
            RETURN;
        END IF;
        before := own.state;
        seat := own.seat;
        v_calendar := coalesce(p_calendar, own.calendar_id);
        v_starts := coalesce(p_starts, own.starts);
        SELECT * INTO own_session FROM session s
         WHERE s.account_id = p_account AND s.id = own.session_id;
        IF own.occupies THEN
            occupied := own_session.hosts || own_session.resources;
        END IF;
    END IF;
    v_during := tstzrange(v_starts - interval '1 day',  -- no buffer is longer
                          greatest(coalesce(p_ends, own.ends), v_starts) + interval '1 day');
    v_day := (v_starts AT TIME ZONE 'UTC')::date;

    SELECT * INTO calendar FROM calendar c
     WHERE c.account_id = p_account AND c.id = v_calendar
       AND (c.deleted_at IS NULL OR p_deleted_too);
    IF NOT FOUND THEN
        calendar := NULL;
        RETURN NEXT;
        RETURN;
    END IF;
    touched := v_calendar || calendar.hosts || calendar.needs || occupied;

    SELECT array_agg(r.id ORDER BY r.id), array_agg(r.version ORDER BY r.id)
      INTO bookables, versions
      FROM bookable r WHERE r.account_id = p_account AND r.id = ANY (touched);

    SELECT array_agg(b.bookable_id),
           array_agg((extract(epoch FROM lower(b.during)) * 1000)::bigint),
           array_agg((extract(epoch FROM upper(b.during)) * 1000)::bigint),
           array_agg(b.buffer_before), array_agg(b.buffer_after)
      INTO busy_who, busy_from, busy_to, busy_before, busy_after
      FROM list_busy_times(p_account, touched, calendar.needs || occupied, v_during) AS b;

    session_ids := ARRAY(
        SELECT s.id FROM session s
         WHERE s.account_id = p_account AND s.calendar_id = v_calendar AND s.starts = v_starts
           AND s.closed_at IS NULL);
    IF own_session.id IS NOT NULL AND own_session.closed_at IS NULL
       AND own_session.id <> ALL (session_ids) THEN
        session_ids := session_ids || own_session.id;
    END IF;

    IF (calendar.settings ->> 'appoinmentPerDay')::numeric > 0 THEN
        SELECT array_agg(c.local_day), array_agg(c.n) INTO days, on_day FROM (
            SELECT a.local_day, count(*) AS n FROM appointment a
             WHERE a.account_id = p_account AND a.calendar_id = v_calendar AND a.occupies
               AND a.local_day BETWEEN v_day - 1 AND v_day + 1
             GROUP BY a.local_day) AS c;
    END IF;

    IF p_contact IS NOT NULL THEN
        SELECT k.name INTO contact_name FROM known_contact k
         WHERE k.account_id = p_account AND k.id = p_contact;
    END IF;
    IF p_contact IS NOT NULL AND (calendar.settings ->> 'stickyContact')::boolean THEN
        -- The contact's latest appointments first, by the index of a contact's appointments: the
        -- planner must not look for the contact among all appointments of the calendar.
        SELECT l.host INTO former_host FROM (
            SELECT a.host, a.calendar_id, a.occupies, a.starts FROM appointment a
             WHERE a.account_id = p_account AND a.contact_id = p_contact
               AND a.deleted_at IS NULL AND a.held_until IS NULL
             ORDER BY a.starts DESC LIMIT 100) AS l
         WHERE l.calendar_id = v_calendar AND l.occupies ORDER BY l.starts DESC LIMIT 1;
    END IF;

    -- The group of an appointment is the present one of its calendar.
    IF before IS NOT NULL AND NOT p_held THEN
        before := before || jsonb_build_object('groupId', nullif(
            CASE WHEN own.calendar_id = v_calendar THEN calendar.settings ->> 'groupId'
                 ELSE (SELECT c.settings ->> 'groupId' FROM calendar c
                        WHERE c.account_id = p_account AND c.id = own.calendar_id) END, ''));
    END IF;

    -- Few holds wait to be released, so the index `appointment_held` is the one to use: IS NOT DISTINCT
    -- FROM keeps the planner from the indexes that begin with the account.
    expired := ARRAY(
        SELECT a.id FROM appointment a
         WHERE a.held_until <= p_now AND a.account_id IS NOT DISTINCT FROM p_account
           AND tstzrange(a.starts, a.ends) && v_during
           AND a.id IS DISTINCT FROM p_appointment ORDER BY a.id);
    RETURN NEXT;
END
$$;
