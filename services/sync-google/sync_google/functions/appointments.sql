-- Appointments and the connected calendars that show them, one statement each. Plans are made once in
-- a session and follow indexes: a plan made while a table was empty is kept.

-- Whether an ended connection has left this event behind, as far as is known: it may still be there.
CREATE OR REPLACE FUNCTION is_left_behind(_event external)
RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT _event.state = 'abandoned' OR _event.state = 'to_delete' AND EXISTS (
           SELECT FROM provider_account AS p
            WHERE p.account_id = _event.account_id AND p.id = _event.connection_id
              AND p.status = 'disconnected')
$$;

-- Whether a connection may use the first id of the appointment's events in its Google calendar: it does
-- if no other connection does, unless it has begun with other ids. `_id`: the appointment's id as
-- subjects spell it.
CREATE OR REPLACE FUNCTION claim_first_id(_account uuid, _id text, _calendar text, _connection uuid)
RETURNS boolean
LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM external AS e
                    WHERE e.kind = 'google-event' AND left(e.subject, 26) = _id
                      AND e.connection_id = _connection)
    THEN
        INSERT INTO first_event (account_id, event_id, google_calendar, connection_id)
        VALUES (_account, _id || '0', _calendar, _connection)
        ON CONFLICT (event_id, google_calendar) DO NOTHING;
    END IF;
    RETURN EXISTS (SELECT FROM first_event
                    WHERE event_id = _id || '0' AND google_calendar = _calendar
                      AND connection_id = _connection);
END $$;

-- Let go of the first ids that an ending connection has not used: no call with them was begun.
CREATE OR REPLACE FUNCTION release_first_ids(_account uuid, _ending uuid) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    DELETE FROM first_event AS f
     WHERE f.account_id = _account AND f.connection_id = _ending
       AND NOT EXISTS (SELECT FROM external AS e
                        WHERE e.external_id = f.event_id AND e.kind = 'google-event'
                          AND e.data ->> 'calendar' = f.google_calendar);
END $$;

-- Store an appointment unless it is not newer than the stored one. Returns the connections of its
-- calendar, and those through which it may have been written before; nothing for an old one.
-- `_id`: the appointment's id as subjects spell it. `left_behind`: an ended connection has left an
-- event of the appointment in the same Google calendar. `has_first_id`: see `claim_first_id`.
--
-- The lock: without it, an appointment and a connection that are committed at the same time would not
-- see each other (`lock_for_connecting` waits for it, until the end of the transaction).
DROP FUNCTION IF EXISTS store_appointment;
CREATE FUNCTION store_appointment(_appointment jsonb, _id text)
RETURNS TABLE (connection_id uuid, provider_user text, calendar_id uuid, left_behind boolean,
               has_first_id boolean)
LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    _new appointment := jsonb_populate_record(NULL::appointment, _appointment);
BEGIN
    PERFORM pg_advisory_xact_lock_shared(727020);
    INSERT INTO appointment AS a SELECT _new.*
    ON CONFLICT (account_id, id) DO UPDATE
       SET (calendar_id, starts_at, ends_at, draft, sequence)
         = (_new.calendar_id, _new.starts_at, _new.ends_at, _new.draft, _new.sequence)
     WHERE a.sequence < _new.sequence;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT p.id, p.external_id, p.owner_id,
               p.owner_id = _new.calendar_id AND EXISTS (
                   SELECT FROM external AS e
                    WHERE e.kind = 'google-event' AND left(e.subject, 26) = _id
                      AND e.account_id = _new.account_id AND is_left_behind(e)
                      AND e.data ->> 'calendar' = p.external_id),
               CASE WHEN p.owner_id = _new.calendar_id AND _new.draft IS NOT NULL
                    THEN claim_first_id(_new.account_id, _id, p.external_id, p.id)
                    ELSE false END
          FROM provider_account AS p
         WHERE p.account_id = _new.account_id AND p.provider = 'google'
           AND p.status <> 'disconnected' AND p.external_id IS NOT NULL
           AND p.id IN (
               SELECT o.id FROM provider_account AS o
                WHERE o.account_id = _new.account_id AND o.provider = 'google'
                  AND o.owner_kind = 'calendar' AND o.owner_id = _new.calendar_id
                  AND o.status <> 'disconnected'
               UNION
               SELECT w.connection_id FROM work AS w
                WHERE w.kind = 'google-event' AND left(w.subject, 26) = _id)
         ORDER BY p.id;
END $$;

-- Let connections take over the events that ended ones have left behind in the same Google calendar:
-- `_takers` names the subject of each appointment in its present connection. One that has an event of
-- its own takes none. What such an event says by now, and whether it still exists, is unknown.
CREATE OR REPLACE FUNCTION adopt_events(_account uuid, _takers jsonb)
RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    _t record;
    _left external;
BEGIN
    FOR _t IN
        SELECT * FROM jsonb_to_recordset(_takers)
            AS t (subject text, connection_id uuid, calendar text)
    LOOP
        SELECT e.* INTO _left FROM external AS e
         WHERE e.kind = 'google-event' AND left(e.subject, 26) = left(_t.subject, 26)
           AND e.account_id = _account AND is_left_behind(e)
           AND e.data ->> 'calendar' = _t.calendar
         ORDER BY e.at DESC LIMIT 1 FOR UPDATE;
        CONTINUE WHEN NOT FOUND OR EXISTS (
            SELECT FROM external AS own
             WHERE own.kind = 'google-event' AND own.subject = _t.subject
               AND own.state IN ('intended', 'live', 'to_delete'));
        BEGIN
            UPDATE external AS e
               SET subject = _t.subject, connection_id = _t.connection_id, state = 'live',
                   content = NULL, data = e.data - 'etag' - 'drift',
                   generation = 1 + (SELECT coalesce(max(own.generation), 0) FROM external AS own
                                      WHERE own.kind = 'google-event' AND own.subject = _t.subject)
             WHERE e.kind = 'google-event' AND e.subject = _left.subject
               AND e.generation = _left.generation;
        EXCEPTION WHEN unique_violation THEN
            NULL;  -- an attempt has begun to create one at this moment
        END;
    END LOOP;
END $$;

-- Who may take over what a connection that is about to end leaves behind, as `adopt_events` takes it:
-- other connections to the same Google calendar, whose appointments were moved to their calendars and
-- are not written there yet. An attempt that has begun must not create an event of its own.
CREATE OR REPLACE FUNCTION prepare_takers(_account uuid, _ending uuid)
RETURNS jsonb
LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    _takers jsonb;
BEGIN
    SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object(
               'subject', w.subject, 'connection_id', p.id, 'calendar', p.external_id)), '[]')
      INTO _takers
      FROM external AS e
      JOIN work AS w ON w.kind = 'google-event' AND left(w.subject, 26) = left(e.subject, 26)
       AND w.desired ->> 'draft' IS NOT NULL
      JOIN provider_account AS p ON p.account_id = w.account_id AND p.id = w.connection_id
       AND p.id <> _ending AND p.status <> 'disconnected' AND p.external_id = e.data ->> 'calendar'
     WHERE e.account_id = _account AND e.kind = 'google-event' AND e.connection_id = _ending
       AND e.state IN ('intended', 'live', 'to_delete');
    UPDATE work SET status = 'due', revision = revision + 1, next_attempt_at = clock_timestamp()
     WHERE kind = 'google-event'
       AND subject IN (SELECT t.subject FROM jsonb_to_recordset(_takers) AS t (subject text));
    RETURN _takers;
END $$;
