-- Session members and what is derived from them, one statement each. Planned without sequential scans:
-- a plan made while a table was empty is kept, and would read all of it later.

-- What the desired meeting of a session is derived from: the members that meet at the provider, the
-- desired meeting so far, and the provider accounts of their hosts. The session is locked until
-- the end of the transaction, against anybody else who derives its meeting.
CREATE OR REPLACE FUNCTION lock_session(_account uuid, _subject text)
RETURNS TABLE (subject text, members jsonb, previous jsonb, accounts jsonb)
LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(727011, hashtext(_subject));
    -- A statement of its own: it sees what was committed before the lock was taken.
    RETURN QUERY
        SELECT _subject,
               (SELECT coalesce(jsonb_agg(to_jsonb(m)), '[]') FROM session_member AS m
                 WHERE m.account_id = _account AND m.subject = _subject),
               (SELECT w.desired FROM work AS w
                 WHERE w.account_id = _account AND w.kind = 'meeting' AND w.subject = _subject),
               (SELECT coalesce(jsonb_agg(jsonb_build_object(
                           'host', p.owner_id, 'connection_id', p.id, 'status', p.status,
                           'external_id', p.external_id, 'sequence', p.sequence)), '[]')
                  FROM provider_account AS p
                 WHERE p.account_id = _account AND p.owner_kind = 'user'
                   AND p.provider = split_part(_subject, '.', 2) AND p.status <> 'disconnected'
                   AND p.owner_id IN (
                       SELECT m.host FROM session_member AS m
                        WHERE m.account_id = _account AND m.subject = _subject
                        UNION
                       SELECT (w.desired ->> 'host')::uuid FROM work AS w
                        WHERE w.account_id = _account AND w.kind = 'meeting' AND w.subject = _subject));
END $$;

-- Store a session member unless it is not newer than the stored one. Returns its old and its new
-- session, locked.
--
-- Shared sessions (classes) take several appointments, which come from different partitions, whose
-- batches hold their locks for long and reach the sessions in any order: one lock for all shared
-- sessions, taken first, prevents deadlocks. A 1:1 session has one appointment, hence one partition.
CREATE OR REPLACE FUNCTION upsert_member(_member jsonb)
RETURNS TABLE (subject text, members jsonb, previous jsonb, accounts jsonb)
LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    _new session_member := jsonb_populate_record(NULL::session_member, _member);
    _old session_member;
BEGIN
    SELECT m.* INTO _old FROM session_member AS m
     WHERE m.account_id = _new.account_id AND m.appointment_id = _new.appointment_id;
    IF _old.sequence >= _new.sequence THEN
        RETURN;
    END IF;
    INSERT INTO session_member SELECT _new.*
    ON CONFLICT (account_id, appointment_id) DO UPDATE
       SET (location_id, session, provider, subject, host, starts_at, ends_at, time_zone, title,
            shared, confirmed, occupies, sequence)
         = (_new.location_id, _new.session, _new.provider, _new.subject, _new.host, _new.starts_at,
            _new.ends_at, _new.time_zone, _new.title, _new.shared, _new.confirmed, _new.occupies,
            _new.sequence);
    IF _new.shared OR _old.shared THEN
        PERFORM pg_advisory_xact_lock(727010);
    END IF;
    RETURN QUERY
        SELECT s.* FROM (SELECT DISTINCT u FROM unnest(ARRAY[_old.subject, _new.subject]) AS u
                          WHERE u IS NOT NULL ORDER BY u) AS affected,
               LATERAL lock_session(_new.account_id, affected.u) AS s;
END $$;
