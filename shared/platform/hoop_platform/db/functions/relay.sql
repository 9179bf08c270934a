-- Outbox rows that may be sent: rows of an aggregate with a parked row wait for it.
CREATE OR REPLACE VIEW ready_outbox AS
SELECT o.*
  FROM outbox AS o
 WHERE o.parked_at IS NULL
   AND NOT EXISTS (SELECT FROM outbox AS p
                    WHERE p.parked_at IS NOT NULL AND p.topic = o.topic AND p.subject = o.subject);

-- The oldest rows from the floor on; and, in each row, the newest id that anybody has taken and the
-- oldest transaction that is running. One row without an id if there is none.
--
-- Deleted rows of which an old snapshot keeps vacuum stay in the table: it is never read from its
-- beginning, even if it was empty when the plan was made.
CREATE OR REPLACE FUNCTION list_outbox(p_floor bigint, p_limit int, p_missing text[])
RETURNS TABLE (last_id bigint, oldest_xid bigint, id bigint, event_id uuid, topic text, type text,
               source text, subject text, sequence bigint, account_id uuid, dataschema text,
               "time" timestamptz, traceparent text, body bytea)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
    RETURN QUERY
    SELECT seen.last_id, seen.oldest_xid, r.id, r.event_id, r.topic, r.type, r.source, r.subject,
           r.sequence, r.account_id, r.dataschema, r.time, r.traceparent, r.body
      FROM (SELECT CASE WHEN s.is_called THEN s.last_value ELSE s.last_value - 1 END AS last_id,
                   pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_xid
              FROM outbox_id_seq AS s) AS seen
      LEFT JOIN (SELECT * FROM ready_outbox AS o
                  WHERE o.id >= p_floor AND o.topic <> ALL (p_missing)
                  ORDER BY o.id LIMIT p_limit) AS r ON true
     ORDER BY r.id;
END
$$;

-- Delete rows that Kafka has acknowledged, if the relay still leads. Returns their ages in seconds, and
-- the number of the transaction.
CREATE OR REPLACE FUNCTION delete_outbox(p_ids bigint[], p_owner uuid, p_epoch bigint)
RETURNS TABLE (age float8, xid bigint)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
    RETURN QUERY
    DELETE FROM outbox AS o
     WHERE o.id = ANY (p_ids)
       AND EXISTS (SELECT FROM relay_lease AS l WHERE l.owner = p_owner AND l.epoch = p_epoch)
    RETURNING extract(epoch FROM clock_timestamp() - o.created_at)::float8,
              pg_current_xact_id()::text::bigint;
END
$$;

-- Whether another relay leads: its lease has not expired, and the session on which it LISTENs has not
-- ended. `p_waited`: it also has renewed the lease lately if a row has waited for so long.
CREATE OR REPLACE FUNCTION is_led_by_another(p_owner uuid, p_waited interval) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    SELECT EXISTS (
        SELECT FROM relay_lease
         WHERE owner <> p_owner AND until > clock_timestamp()
           AND (listener IS NULL OR EXISTS (SELECT FROM pg_stat_get_activity(listener)))
           AND (p_waited IS NULL OR renewed_at > clock_timestamp() - p_waited OR NOT EXISTS (
                SELECT FROM ready_outbox WHERE created_at < clock_timestamp() - p_waited)))
$$;

-- Take or renew the lease, and look at the whole outbox, parked rows included. `epoch` is null for a
-- relay that must stand by; `p_tell`: then the leader is told that there are rows, if it LISTENs.
--
-- The leader notifies itself as well. If it does not hear that, LISTEN does not work (a transaction
-- pooler), and it must poll.
CREATE OR REPLACE FUNCTION lead_outbox(
    p_owner uuid, p_seconds float8, p_listener int, p_waited interval, p_tell boolean,
    OUT epoch bigint, OUT listens boolean, OUT depth bigint, OUT parked bigint, OUT age float8,
    OUT lowest bigint
) LANGUAGE plpgsql AS $$
BEGIN
    IF is_led_by_another(p_owner, p_waited) THEN
        SELECT l.listener IS NOT NULL INTO listens FROM relay_lease AS l;
        IF listens AND p_tell THEN
            PERFORM pg_notify('outbox', 'rows');
        END IF;
        RETURN;
    END IF;
    INSERT INTO relay_lease AS l (owner, until, listener)
    VALUES (p_owner, clock_timestamp() + make_interval(secs => p_seconds), p_listener)
    ON CONFLICT (only_one) DO UPDATE
       SET owner = p_owner, until = excluded.until, listener = p_listener,
           renewed_at = clock_timestamp(), epoch = l.epoch + (l.owner <> p_owner)::int
     WHERE NOT is_led_by_another(p_owner, p_waited)  -- another one may have been faster
    RETURNING l.epoch INTO epoch;
    IF epoch IS NULL THEN
        RETURN;
    END IF;
    PERFORM pg_notify('outbox', p_owner::text);
    SELECT count(*) FILTER (WHERE head.parked_at IS NULL), count(head.parked_at),
           coalesce(extract(epoch FROM clock_timestamp()
                    - min(head.created_at) FILTER (WHERE head.parked_at IS NULL)), 0),
           (SELECT min(o.id) FROM outbox AS o WHERE o.parked_at IS NULL)
      INTO depth, parked, age, lowest
      FROM (SELECT o.parked_at, o.created_at FROM outbox AS o ORDER BY o.id LIMIT 10000) AS head;
END
$$;

-- Give the lease back, so that another relay leads at once.
CREATE OR REPLACE FUNCTION resign_outbox(p_owner uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM relay_lease WHERE owner = p_owner;
    IF FOUND THEN
        PERFORM pg_notify('outbox', 'lead');
    END IF;
END
$$;

-- Rows that are no longer parked are found by a look at the whole outbox alone.
CREATE OR REPLACE FUNCTION notify_unparked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('outbox', 'lead');
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER notify_unparked AFTER UPDATE OF parked_at ON outbox
    FOR EACH ROW WHEN (OLD.parked_at IS NOT NULL AND NEW.parked_at IS NULL)
    EXECUTE FUNCTION notify_unparked();
