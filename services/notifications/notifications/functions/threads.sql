-- Appointments, their threads, and the messages in them. A message belongs to the conversation that is
-- its `subject`: that of one thread, or of the threads about all occurrences of a series. Each function is one statement of its caller.
-- Plans are made once in a session and follow indexes: a plan made while a table was empty is kept.

-- Every message that was sent, may have been, waits or could not be: a view of the external objects.
CREATE OR REPLACE VIEW message AS
SELECT t.account_id, t.appointment_id, t.receiver_id, e.generation AS number,
       e.external_id AS id, e.data ->> 'kind' AS kind, e.data ->> 'occasion' AS occasion, s.status,
       coalesce(e.data ->> 'rejected', e.data ->> 'uncertain',
                CASE WHEN s.status IN ('waiting', 'sending') THEN w.last_error END) AS reason,
       e.data ->> 'address' AS address, e.content, e.at
  FROM external AS e
  JOIN thread AS t ON t.subject = e.subject
  LEFT JOIN work AS w ON w.kind = e.kind AND w.subject = e.subject,
       LATERAL (SELECT CASE
            WHEN e.data ? 'sent' THEN CASE WHEN e.data ? 'switched_off' THEN 'switched_off'
                                           ELSE 'sent' END
            WHEN e.state = 'intended' THEN 'sending'
            WHEN e.data ? 'rejected' THEN 'failed'
            WHEN e.data ? 'uncertain' THEN 'doubtful'
            WHEN w.status IN ('due', 'waiting') AND NOT EXISTS (
                 SELECT FROM external AS later
                  WHERE later.kind = e.kind AND later.subject = e.subject
                    AND later.generation > e.generation) THEN 'waiting'
            ELSE 'dropped' END AS status) AS s
 WHERE e.kind = 'mail';

-- The newest state known of an appointment, what the settings of its calendar decide about mail, and
-- its threads with their messages; one row at least. No other transaction changes its threads until
-- this one ends. `is_open`: an attempt is due or under way.
DROP FUNCTION IF EXISTS lock_appointment;
CREATE FUNCTION lock_appointment(_account uuid, _appointment uuid, _calendar uuid)
RETURNS TABLE (state jsonb, settings jsonb, appointment_id uuid, receiver_id uuid, role text, notified jsonb,
               expects_appointment boolean, counted int, pending_occasion text,
               pending_for interval, is_open boolean, context jsonb)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    _state jsonb;
BEGIN
    SELECT a.state INTO _state FROM appointment AS a
     WHERE a.account_id = _account AND a.id = _appointment FOR UPDATE;
    -- A message that was refused for good is not made due by a new address before this event is known.
    PERFORM FROM work AS w
      WHERE w.kind = 'mail' AND w.status = 'failed'
        AND w.subject = ANY (ARRAY(SELECT t.subject FROM thread AS t
                                    WHERE t.account_id = _account
                                      AND t.appointment_id = _appointment))
      ORDER BY w.subject FOR UPDATE;
    -- A statement of its own: it sees what was committed before the locks were taken.
    RETURN QUERY
        SELECT _state, mail_settings(_account, _calendar), t.appointment_id, t.receiver_id, t.role, t.notified,
               t.expects_appointment, t.counted, t.pending_occasion,
               clock_timestamp() - t.pending_since,
               coalesce((mail.w).status IN ('due', 'waiting'), false),
               CASE WHEN (mail.w).kind IS NOT NULL THEN attempt_context(mail.w) END
          FROM (SELECT) AS one_row_at_least
          LEFT JOIN thread AS t ON t.account_id = _account AND t.appointment_id = _appointment
          LEFT JOIN LATERAL (SELECT w FROM work AS w
                              WHERE w.kind = 'mail' AND w.subject = t.subject OFFSET 0) AS mail ON true;
END $$;

-- The settings of a calendar that decide about mail, oldest first.
CREATE OR REPLACE FUNCTION mail_settings(_account uuid, _calendar uuid) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
               'receiver_type', s.receiver_type, 'notification_type', s.notification_type,
               'is_active', s.is_active, 'deleted', s.deleted, 'details', s.details,
               'extra_receivers', s.extra_receivers) ORDER BY s.id), '[]')
      FROM notification_setting AS s
     WHERE s.account_id = _account AND s.calendar_id = _calendar AND s.channel = 'email'
$$;

-- Store an appointment's newest state and its threads; a new occasion is pending since now.
CREATE OR REPLACE FUNCTION store_appointment(_appointment jsonb, _threads jsonb) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    _a appointment := jsonb_populate_record(NULL::appointment, _appointment);
BEGIN
    INSERT INTO appointment SELECT _a.*
    ON CONFLICT (account_id, id) DO UPDATE
       SET (state, calendar_id, location_id, contact_id, user_id)
         = (_a.state, _a.calendar_id, _a.location_id, _a.contact_id, _a.user_id);
    INSERT INTO thread AS t (account_id, appointment_id, receiver_id, subject, role, notified,
                             expects_appointment, counted, pending_occasion, pending_since)
    SELECT _a.account_id, _a.id, n.receiver_id, n.subject, n.role, n.notified,
           n.expects_appointment, n.counted, n.pending_occasion,
           CASE WHEN n.pending_occasion IS NOT NULL THEN clock_timestamp() END
      FROM jsonb_to_recordset(_threads)
        AS n (receiver_id uuid, subject text, role text, notified jsonb, expects_appointment boolean,
              counted int, pending_occasion text)
    ON CONFLICT (account_id, appointment_id, receiver_id) DO UPDATE
       SET notified = excluded.notified, expects_appointment = excluded.expects_appointment,
           counted = excluded.counted, pending_occasion = excluded.pending_occasion,
           pending_since = CASE WHEN t.pending_occasion = excluded.pending_occasion
                                THEN t.pending_since ELSE excluded.pending_since END;
END $$;

-- Erase the receiver's address and the contents of messages. Messages under way are not sent: who
-- works on one loses the lease, and can neither begin a call nor store what it knew.
CREATE OR REPLACE FUNCTION erase_messages(_account uuid, _receiver uuid) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    UPDATE work AS w SET lease_token = NULL, lease_until = NULL, revision = revision + 1
      FROM thread AS t
     WHERE t.account_id = _account AND t.receiver_id = _receiver
       AND w.kind = 'mail' AND w.subject = t.subject AND w.lease_token IS NOT NULL;
    UPDATE external AS e
       SET state = 'gone', content = NULL,
           data = e.data - 'address' || CASE WHEN e.state = 'intended' THEN '{"uncertain": "in_doubt"}'
                                             ELSE '{}' END::jsonb
      FROM thread AS t
     WHERE t.account_id = _account AND t.receiver_id = _receiver
       AND e.kind = 'mail' AND e.subject = t.subject
       AND (e.data ? 'address' OR e.content IS NOT NULL);
END $$;

-- Whether another occurrence of the series has a thread with the same receiver: the messages of both
-- are one conversation.
CREATE OR REPLACE FUNCTION is_shared(_t thread) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM thread AS other
                    WHERE other.subject = _t.subject AND other.account_id = _t.account_id
                      AND other.appointment_id <> _t.appointment_id)
$$;

-- Delete an appointment with its threads, messages and desired states: a tombstone names no account.
-- What an occurrence of a series shares with others stays until the last one.
CREATE OR REPLACE FUNCTION delete_appointment(_appointment uuid) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    DELETE FROM work AS w USING thread AS t
     WHERE t.appointment_id = _appointment AND w.kind = 'mail' AND w.subject = t.subject
       AND NOT is_shared(t);
    DELETE FROM external AS e USING thread AS t
     WHERE t.appointment_id = _appointment AND e.kind = 'mail' AND e.subject = t.subject
       AND NOT is_shared(t);
    DELETE FROM appointment WHERE id = _appointment;
END $$;
