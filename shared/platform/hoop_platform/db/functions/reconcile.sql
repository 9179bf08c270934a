-- The reconciler: desired states are stored and leased, calls are begun, attempts are finished. Each
-- function is one statement of its caller. Leases, attempts and circuits go by the database's clock.
-- Plans are made once in a session, and without sequential scans: a plan made while a table was empty
-- is kept, and would read all of it later.

-- What an attempt needs to know of a desired state, in one document: the provider account and its
-- credential, and all external objects, oldest first.
CREATE OR REPLACE FUNCTION attempt_context(_w work) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    _account jsonb;
    _credential jsonb;
    _objects jsonb;
BEGIN
    IF _w.connection_id IS NOT NULL THEN
        SELECT CASE WHEN p.status <> 'disconnected' THEN
                   jsonb_build_object('connection_id', p.id, 'status', p.status,
                                      'reason', p.reason, 'external_id', p.external_id,
                                      'settings', p.settings) END,
               CASE WHEN k.id IS NOT NULL THEN
                   jsonb_build_object(
                       'id', k.id, 'provider', k.provider, 'provider_user', k.provider_user,
                       'generation', k.generation, 'sealed', encode(k.sealed, 'hex'),
                       'fresh_until', k.fresh_until,
                       'leased', coalesce(k.leased_until > clock_timestamp(), false),
                       'resting', coalesce(k.resting_until > clock_timestamp(), false)) END
          INTO _account, _credential
          FROM provider_account AS p
          LEFT JOIN credential AS k ON k.account_id = p.account_id AND k.id = p.credential_id
         WHERE p.account_id = _w.account_id AND p.id = _w.connection_id;
    END IF;
    SELECT jsonb_agg(jsonb_build_object(
               'generation', e.generation, 'connection_id', e.connection_id, 'state', e.state,
               'external_id', e.external_id, 'content', e.content, 'data', e.data,
               'looked_up', e.looked_up,
               'age', extract(epoch FROM clock_timestamp() - e.at)) ORDER BY e.generation)
      INTO _objects
      FROM external AS e WHERE e.kind = _w.kind AND e.subject = _w.subject;
    RETURN jsonb_build_object('account', _account, 'credential', _credential,
                              'objects', coalesce(_objects, '[]'));
END $$;

-- Whether work may begin for this user of the provider: the circuit is closed, and no desired state
-- of the user is leased. True only under the user's lock, which is held until the end of the
-- transaction; a user whose lock another transaction holds counts as busy.
CREATE OR REPLACE FUNCTION lock_idle_user(_provider text, _provider_user text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    _now timestamptz;
BEGIN
    IF NOT pg_try_advisory_xact_lock(727002, hashtext(_provider || ' ' || _provider_user)) THEN
        RETURN false;
    END IF;
    -- A statement of its own: it sees what was committed before the lock was taken.
    _now := clock_timestamp();
    RETURN NOT EXISTS (SELECT FROM work
                        WHERE provider = _provider AND provider_user = _provider_user
                          AND lease_token IS NOT NULL AND lease_until > _now)
       AND NOT EXISTS (SELECT FROM circuit
                        WHERE provider = _provider AND provider_user = _provider_user
                          AND open_until > _now);
END $$;

-- Store desired states, each unless it is old: its `sequence` is not newer, or, without a sequence,
-- nothing of it differs from what is stored. With a `_token` they are leased at once as far as
-- `_most` allows, each if its user of the provider is idle. Returns a row for each, in order.
DROP FUNCTION IF EXISTS desire;
CREATE FUNCTION desire(_states jsonb, _token uuid, _lease interval, _most int)
RETURNS TABLE (changed boolean, leased boolean, lease_token uuid, attempts int, revision bigint,
               announced jsonb, announced_sequence bigint, context jsonb)
LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    _s record;
    _w work;
    _idle boolean;
BEGIN
    FOR _s IN
        SELECT * FROM jsonb_to_recordset(_states)
            AS s (account_id uuid, kind text, subject text, provider text, provider_user text,
                  connection_id uuid, due_start timestamptz, delay_if_live interval, wait interval,
                  desired jsonb, sequence bigint, traceparent text)
    LOOP
        _idle := _token IS NOT NULL AND _most > 0 AND _s.wait IS NULL
                 AND lock_idle_user(_s.provider, _s.provider_user);
        INSERT INTO work AS u (account_id, kind, subject, provider, provider_user, connection_id,
                               due_start, desired, desired_sequence, status, next_attempt_at,
                               traceparent, lease_token, lease_until, attempts)
        VALUES (_s.account_id, _s.kind, _s.subject, _s.provider, _s.provider_user, _s.connection_id,
                _s.due_start + CASE WHEN _s.delay_if_live IS NOT NULL AND EXISTS (
                        SELECT FROM external AS e
                         WHERE e.kind = _s.kind AND e.subject = _s.subject AND e.state = 'live')
                    THEN _s.delay_if_live ELSE interval '0' END,
                _s.desired, coalesce(_s.sequence, 0),
                CASE WHEN _s.wait IS NULL THEN 'due' ELSE 'waiting' END,
                clock_timestamp() + coalesce(_s.wait, interval '0'), _s.traceparent,
                CASE WHEN _idle THEN _token END,
                CASE WHEN _idle THEN clock_timestamp() + _lease END,
                CASE WHEN _idle THEN 1 ELSE 0 END)
        ON CONFLICT (kind, subject) DO UPDATE
           SET provider = excluded.provider, provider_user = excluded.provider_user,
               connection_id = excluded.connection_id, due_start = excluded.due_start,
               desired = excluded.desired, desired_sequence = excluded.desired_sequence,
               traceparent = excluded.traceparent, revision = u.revision + 1,
               status = excluded.status, next_attempt_at = excluded.next_attempt_at,
               attempts = CASE WHEN _idle AND coalesce(u.lease_until < clock_timestamp(), true)
                               THEN 1 ELSE 0 END,
               lease_token = CASE WHEN _idle AND coalesce(u.lease_until < clock_timestamp(), true)
                                  THEN excluded.lease_token ELSE u.lease_token END,
               lease_until = CASE WHEN _idle AND coalesce(u.lease_until < clock_timestamp(), true)
                                  THEN excluded.lease_until ELSE u.lease_until END
         WHERE u.account_id = excluded.account_id
           AND CASE WHEN _s.sequence IS NOT NULL THEN u.desired_sequence < _s.sequence
                    ELSE (u.desired, u.connection_id, u.provider_user)
                         IS DISTINCT FROM (_s.desired, _s.connection_id, _s.provider_user) END
        RETURNING u.* INTO _w;
        changed := FOUND;
        leased := changed AND _idle AND _w.lease_token = _token;
        IF leased THEN
            _most := _most - 1;
            lease_token := _w.lease_token;
            attempts := _w.attempts;
            revision := _w.revision;
            announced := _w.announced;
            announced_sequence := _w.announced_sequence;
            context := attempt_context(_w);
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

-- Lease one desired state if it is still due and its user of the provider is idle; its row then.
CREATE OR REPLACE FUNCTION lease_work(_kind text, _subject text, _provider text,
                                      _provider_user text, _token uuid, _lease interval)
RETURNS SETOF work
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT lock_idle_user(_provider, _provider_user) THEN
        RETURN;
    END IF;
    PERFORM FROM work AS w
      WHERE w.kind = _kind AND w.subject = _subject AND w.status = 'due'
        AND w.provider = _provider AND w.provider_user = _provider_user
        AND coalesce(w.lease_until < clock_timestamp(), true)
        FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        RETURN QUERY
            UPDATE work AS w
               SET lease_token = _token, lease_until = clock_timestamp() + _lease,
                   attempts = w.attempts + 1
             WHERE w.kind = _kind AND w.subject = _subject
            RETURNING w.*;
    END IF;
END $$;

-- Lease desired states that are due: those of the soonest appointments, one for each user of a
-- provider. The cost is bounded by `_window` rows, however many are due: when users that are busy
-- fill the window, the users after (`_provider`, `_provider_user`) follow, in turn.
-- `_since`: no row before this `due_start` is looked at: those before it are finished, and while an
-- old snapshot is held they cannot be removed from the index. Returns the leased ones, each with its
-- context, and one last row without `kind`: where the next look has to begin, and when; `more`: waits
-- have ended that were too many for this look.
DROP FUNCTION IF EXISTS claim_due;
CREATE FUNCTION claim_due(_kinds text[], _most int, _window int, _token uuid, _lease interval,
                          _since timestamptz, _provider text, _provider_user text)
RETURNS TABLE (claimed work, context jsonb, soonest timestamptz, next_provider text,
               next_provider_user text, next_at timestamptz, more boolean)
LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    _w record;
    _seen int := 0;
    _left int := _most;
    _busy text[] := '{}';
    _user text;
    _began timestamptz := clock_timestamp();
    _soonest timestamptz;
    _passed boolean := false;
    _ended int;
    _first timestamptz;
BEGIN
    WITH ended AS (
    UPDATE work SET status = 'due'
     WHERE (kind, subject) IN (
           SELECT w.kind, w.subject FROM work AS w
            WHERE w.status = 'waiting' AND w.next_attempt_at <= _began
              AND w.next_attempt_at > CASE WHEN _since IS NULL THEN '-infinity'
                                           ELSE _began - interval '60 seconds' END
            ORDER BY w.next_attempt_at LIMIT 1000 FOR UPDATE SKIP LOCKED)
    RETURNING due_start)
    SELECT count(*), min(due_start) INTO _ended, _first FROM ended;
    _since := least(_since, CASE WHEN _since IS NOT NULL THEN _first END);
    FOR _w IN
        SELECT w.kind, w.subject, w.provider, w.provider_user, w.due_start, w.lease_until
          FROM work AS w
         WHERE w.status = 'due' AND w.due_start >= coalesce(_since, '-infinity')
         ORDER BY w.due_start LIMIT _window
    LOOP
        EXIT WHEN _left = 0;
        _seen := _seen + 1;
        _soonest := coalesce(_soonest, _w.due_start);
        _user := _w.provider || ' ' || _w.provider_user;
        CONTINUE WHEN _w.kind <> ALL (_kinds) OR _user = ANY (_busy);
        SELECT l.* INTO claimed FROM lease_work(_w.kind, _w.subject, _w.provider, _w.provider_user,
                                                _token, _lease) AS l;
        _busy := _busy || _user;
        IF (claimed).kind IS NOT NULL THEN
            context := attempt_context(claimed);
            _left := _left - 1;
            RETURN NEXT;
        ELSE
            _passed := true;
        END IF;
    END LOOP;
    next_provider := _provider;
    next_provider_user := _provider_user;
    IF _seen = _window THEN
        FOR _i IN 1 .. _window LOOP
            EXIT WHEN _left = 0;
            SELECT w.kind, w.subject, w.provider, w.provider_user INTO _w
              FROM work AS w
             WHERE w.status = 'due'
               AND (w.provider, w.provider_user) > (next_provider, next_provider_user)
             ORDER BY w.provider, w.provider_user, w.due_start LIMIT 1;
            IF NOT FOUND THEN
                next_provider := '';
                next_provider_user := '';
                EXIT;
            END IF;
            next_provider := _w.provider;
            next_provider_user := _w.provider_user;
            _user := _w.provider || ' ' || _w.provider_user;
            CONTINUE WHEN _w.kind <> ALL (_kinds) OR _user = ANY (_busy);
            SELECT l.* INTO claimed FROM lease_work(_w.kind, _w.subject, _w.provider,
                                                    _w.provider_user, _token, _lease) AS l;
            IF (claimed).kind IS NOT NULL THEN
                context := attempt_context(claimed);
                _left := _left - 1;
                RETURN NEXT;
            END IF;
        END LOOP;
    END IF;
    claimed := NULL;
    context := NULL;
    soonest := _soonest;
    more := _ended = 1000;
    next_at := CASE WHEN _seen = _window OR _left = 0 THEN _began ELSE least(
        (SELECT min(w.next_attempt_at) FROM work AS w
          WHERE w.status = 'waiting' AND w.next_attempt_at > _began),
        (SELECT min(w.lease_until) FROM work AS w
          WHERE w.lease_token IS NOT NULL AND w.lease_until > _began),
        (SELECT min(c.open_until) FROM circuit AS c WHERE c.open_until > _began),
        -- Locked for a moment, or its user is busy: nobody says when that is over.
        CASE WHEN _passed THEN _began + interval '1 second' END) END;
    RETURN NEXT;
END $$;

-- The lease of a desired state, renewed; false when it is not held any more.
CREATE OR REPLACE FUNCTION renew_lease(_kind text, _subject text, _token uuid, _lease interval)
RETURNS boolean
LANGUAGE sql AS $$
    UPDATE work SET lease_until = clock_timestamp() + _lease
     WHERE kind = _kind AND subject = _subject AND lease_token = _token
       AND lease_until > clock_timestamp()
    RETURNING true
$$;

-- Allow one call to the provider, and store what has to be known if its response is lost. Returns
-- `allowed`, or why the call must not be made: `lease_lost` (also when the desired state has changed),
-- `not_connected`, `quota`.
-- `_connection`: must be active; it cannot be ended before the intent is visible. `_object`: the
-- external object, `intended` before it is created, `to_delete` before it is deleted.
-- `_allowance`: the calls of this user and day at which no further one is allowed.
DROP FUNCTION IF EXISTS begin_call;
CREATE FUNCTION begin_call(
    _account uuid, _kind text, _subject text, _token uuid, _revision bigint, _connection uuid,
    _object jsonb, _provider text, _provider_user text, _day date, _allowance int)
RETURNS text
LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    _o record;
BEGIN
    -- Locked: until the intent is visible, nothing else is desired, and no object is adopted.
    PERFORM FROM work
      WHERE account_id = _account AND kind = _kind AND subject = _subject AND lease_token = _token
        AND lease_until > clock_timestamp() AND revision = _revision FOR SHARE;
    IF NOT FOUND THEN
        RETURN 'lease_lost';
    END IF;
    IF _connection IS NOT NULL THEN
        PERFORM FROM provider_account
          WHERE account_id = _account AND id = _connection AND status = 'active' FOR SHARE;
        IF NOT FOUND THEN
            RETURN 'not_connected';
        END IF;
    END IF;
    IF _allowance IS NOT NULL AND NOT count_call(_account, _provider, _provider_user, _day, _allowance)
    THEN
        RETURN 'quota';
    END IF;
    SELECT * INTO _o FROM jsonb_to_record(_object)
        AS o (generation int, state text, external_id text, content jsonb, data jsonb,
              looked_up boolean);
    IF _o.state = 'intended' THEN
        INSERT INTO external AS e (account_id, kind, subject, generation, connection_id,
                                   external_id, state, content, data, looked_up)
        VALUES (_account, _kind, _subject, _o.generation, _connection, _o.external_id, 'intended',
                _o.content, _o.data, _o.looked_up)
        ON CONFLICT (kind, subject, generation) DO UPDATE
           SET state = 'intended', external_id = excluded.external_id, content = excluded.content,
               data = excluded.data, looked_up = excluded.looked_up, at = clock_timestamp()
         WHERE e.account_id = _account AND e.state IN ('intended', 'gone');
        IF NOT FOUND THEN  -- somebody else's object has this generation by now
            RETURN 'lease_lost';
        END IF;
    ELSIF _o.state = 'to_delete' THEN
        UPDATE external
           SET state = CASE WHEN state = 'live' THEN 'to_delete' ELSE state END
         WHERE account_id = _account AND kind = _kind AND subject = _subject
           AND generation = _o.generation AND state IN ('intended', 'live', 'to_delete');
        IF NOT FOUND THEN
            RETURN 'lease_lost';
        END IF;
    END IF;
    RETURN 'allowed';
END $$;

-- Count one more call unless the allowance is used up; the limit is the provider's for its user, so
-- calls for several accounts of ours add up.
CREATE OR REPLACE FUNCTION count_call(_account uuid, _provider text, _provider_user text,
                                      _day date, _allowance int)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(727012, hashtext(_provider || ' ' || _provider_user));
    IF (SELECT coalesce(sum(calls), 0) >= _allowance OR coalesce(bool_or(exhausted), false)
          FROM provider_quota
         WHERE provider = _provider AND provider_user = _provider_user AND day = _day)
    THEN
        RETURN false;
    END IF;
    INSERT INTO provider_quota AS q (account_id, provider, provider_user, day, calls)
    VALUES (_account, _provider, _provider_user, _day, 1)
    ON CONFLICT (provider, provider_user, day, account_id) DO UPDATE SET calls = q.calls + 1;
    RETURN true;
END $$;

-- Store what a call has shown of external objects: a fact, whoever holds the lease by now. Returns
-- whether every object is in the state that was to be stored. An object of an ended connection stays
-- abandoned, a second live object is to be deleted.
CREATE OR REPLACE FUNCTION record_objects(_account uuid, _kind text, _subject text, _objects jsonb,
                                          _leased boolean)
RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    _o record;
    _e external;
    _state text;
    _as_expected boolean := true;
BEGIN
    FOR _o IN
        SELECT * FROM jsonb_to_recordset(_objects)
            AS o (generation int, state text, external_id text, content jsonb, data jsonb,
                  looked_up boolean)
    LOOP
        SELECT * INTO _e FROM external
         WHERE account_id = _account AND kind = _kind AND subject = _subject
           AND generation = _o.generation FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        _state := CASE
            WHEN _e.state = 'abandoned' THEN 'abandoned'
            WHEN _o.state = 'live' AND EXISTS (
                 SELECT FROM external AS other
                  WHERE other.kind = _kind AND other.subject = _subject AND other.state = 'live'
                    AND other.generation <> _o.generation) THEN 'to_delete'
            -- A late call has created what was given up since our lease was lost.
            WHEN NOT _leased AND _e.state = 'gone' AND _o.state = 'live' THEN 'to_delete'
            -- Somebody else has decided about the object since our lease was lost.
            WHEN NOT _leased AND _e.state <> 'intended' AND _o.state <> 'gone' THEN _e.state
            ELSE _o.state END;
        _as_expected := _as_expected AND _state = _o.state;
        UPDATE external
           SET state = _state,
               external_id = coalesce(_o.external_id, external_id),
               -- Without the lease the object may have been written since by its present holder.
               content = CASE WHEN _leased OR _e.state = 'intended' THEN _o.content END,
               -- What has ended keeps what is known of it: a later word may be about an earlier call.
               data = CASE WHEN _leased OR _e.state <> 'gone' THEN coalesce(_o.data, data) ELSE data END,
               looked_up = coalesce(_o.looked_up, false),
               at = CASE WHEN _state = 'intended' THEN at ELSE clock_timestamp() END
         WHERE kind = _kind AND subject = _subject AND generation = _o.generation;
    END LOOP;
    RETURN _as_expected;
END $$;

-- Finish attempts in one statement: record external objects, announce the status, store the outcome,
-- release the lease, open the circuit, and, with a `next_token`, lease the next due state of the same
-- user if it is one of `kinds`, none before `since`.
-- `status`: `due` (again, after `wait`), `done`, `failed`; NULL records the objects and goes on.
-- `_bodies`: those of the events, in the order of the attempts.
-- `_patient`: wait for rows that other transactions have locked; else such an attempt is `locked`, and
-- nothing of it is stored: several attempts in one statement must not wait, each for another's row.
-- Returns a row for each attempt, in order: `lease_lost`, `differs` (the recorded objects are not as
-- they were to be: nothing else was stored), `locked`, `stored`, with the next claimed state, or
-- `left_behind`: stored, and the next state is due but could not be leased just now.
DROP FUNCTION IF EXISTS finish_attempts;
CREATE FUNCTION finish_attempts(_attempts jsonb, _bodies bytea[], _lease interval, _patient boolean)
RETURNS TABLE (result text, claimed work, context jsonb)
LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    _a record;
    _w work;
    _next record;
    _has_objects boolean;
    _as_expected boolean;
    _i int := 0;
BEGIN
    FOR _a IN
        SELECT * FROM jsonb_to_recordset(_attempts)
            AS a (account_id uuid, kind text, subject text, token uuid, revision bigint,
                  objects jsonb, status text, reason text, wait interval, opens_circuit boolean,
                  announced jsonb, event jsonb, next_token uuid, kinds text[], since timestamptz)
    LOOP
        _i := _i + 1;
        claimed := NULL;
        context := NULL;
        _has_objects := jsonb_array_length(_a.objects) > 0;
        IF _patient THEN
            SELECT * INTO _w FROM work
             WHERE account_id = _a.account_id AND kind = _a.kind AND subject = _a.subject
               FOR UPDATE;
        ELSE
            SELECT * INTO _w FROM work
             WHERE account_id = _a.account_id AND kind = _a.kind AND subject = _a.subject
               FOR UPDATE SKIP LOCKED;
            IF NOT FOUND THEN
                result := 'locked';
                RETURN NEXT;
                CONTINUE;
            END IF;
        END IF;
        IF _w.lease_token IS DISTINCT FROM _a.token THEN
            IF _has_objects THEN
                PERFORM record_objects(_a.account_id, _a.kind, _a.subject, _a.objects, false);
                -- The present holder of the lease, or the next one, has to take them into account.
                UPDATE work SET status = 'due', revision = revision + 1,
                                next_attempt_at = clock_timestamp()
                 WHERE account_id = _a.account_id AND kind = _a.kind AND subject = _a.subject;
            END IF;
            result := 'lease_lost';
            RETURN NEXT;
            CONTINUE;
        END IF;
        _as_expected := NOT _has_objects
                    OR record_objects(_a.account_id, _a.kind, _a.subject, _a.objects, true);
        result := CASE WHEN _as_expected THEN 'stored' ELSE 'differs' END;
        IF NOT _as_expected OR _a.status IS NULL THEN
            RETURN NEXT;
            CONTINUE;
        END IF;
        UPDATE work AS w
           SET lease_token = NULL, lease_until = NULL, last_error = _a.reason,
               -- Without a reason nothing has failed, also if it is due again after a while.
               attempts = CASE WHEN w.revision > _a.revision OR _a.reason IS NULL THEN 0
                               ELSE w.attempts END,
               status = CASE WHEN w.revision > _a.revision THEN w.status
                             WHEN _a.status = 'due' AND _a.wait > interval '0' THEN 'waiting'
                             ELSE _a.status END,
               next_attempt_at = CASE WHEN w.revision > _a.revision THEN w.next_attempt_at
                                      ELSE clock_timestamp() + _a.wait END,
               announced = CASE WHEN _a.event IS NULL THEN w.announced ELSE _a.announced END,
               announced_sequence = w.announced_sequence
                                    + CASE WHEN _a.event IS NULL THEN 0 ELSE 1 END
         WHERE w.kind = _a.kind AND w.subject = _a.subject;
        IF _a.opens_circuit THEN
            INSERT INTO circuit AS c (provider, provider_user, open_until, reason)
            VALUES (_w.provider, _w.provider_user, clock_timestamp() + _a.wait, _a.reason)
            ON CONFLICT (provider, provider_user) DO UPDATE
               SET open_until = greatest(c.open_until, excluded.open_until),
                   reason = excluded.reason;
        END IF;
        IF _a.event IS NOT NULL THEN
            INSERT INTO outbox (event_id, topic, type, source, subject, sequence, account_id,
                                dataschema, time, traceparent, body)
            SELECT e.event_id, e.topic, e.type, e.source, e.subject, e.sequence, e.account_id,
                   e.dataschema, e.time, e.traceparent, _bodies[_i]
              FROM jsonb_to_record(_a.event)
                AS e (event_id uuid, topic text, type text, source text, subject text,
                      sequence bigint, account_id uuid, dataschema text, time timestamptz,
                      traceparent text);
        END IF;
        IF _a.next_token IS NOT NULL AND NOT _a.opens_circuit THEN
            SELECT w.kind, w.subject, w.provider, w.provider_user INTO _next
              FROM work AS w
             WHERE w.provider = _w.provider AND w.provider_user = _w.provider_user
               AND w.status = 'due' AND w.due_start >= coalesce(_a.since, '-infinity')
             ORDER BY w.due_start LIMIT 1;
            IF NOT FOUND AND _a.since IS NOT NULL THEN
                SELECT w.kind, w.subject, w.provider, w.provider_user INTO _next
                  FROM work AS w
                 WHERE w.provider = _w.provider AND w.provider_user = _w.provider_user
                   AND w.status = 'due'
                 ORDER BY w.due_start LIMIT 1;
            END IF;
            IF FOUND AND _next.kind = ANY (_a.kinds) THEN
                SELECT l.* INTO claimed
                  FROM lease_work(_next.kind, _next.subject, _next.provider, _next.provider_user,
                                  _a.next_token, _lease) AS l;
                IF (claimed).kind IS NOT NULL THEN
                    context := attempt_context(claimed);
                ELSE
                    result := 'left_behind';
                END IF;
            END IF;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
