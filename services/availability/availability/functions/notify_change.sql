-- At the commit, once for the whole transaction: raise versions, always in the same order, so that
-- batches of different partitions wait for each other and never deadlock; and notify every replica
-- of the ids to invalidate in its cache.
CREATE OR REPLACE FUNCTION notify_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    this text := pg_current_xact_id()::text;
    page text;
BEGIN
    IF current_setting('hoop.notified', true) IS NOT DISTINCT FROM this THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('hoop.notified', this, true);
    INSERT INTO version AS v
    SELECT account_id, k.id, max(k.version)
      FROM pending_notification, unnest(version_ids, versions) AS k (id, version)
     GROUP BY account_id, k.id ORDER BY account_id, k.id
    ON CONFLICT (account_id, id) DO UPDATE SET version = excluded.version
     WHERE v.version < excluded.version;
    FOR page IN
        WITH changed AS (
            SELECT replace(k::text, '-', '') AS id
              FROM pending_notification, unnest(resource_ids || version_ids) AS k
            UNION
            SELECT '!' || replace(k::text, '-', '')
              FROM pending_notification, unnest(calendar_ids) AS k
        ), numbered AS (
            SELECT id, row_number() OVER () / 200 AS page FROM changed
        )
        SELECT string_agg(n.id, ',') FROM numbered AS n GROUP BY n.page
    LOOP
        PERFORM pg_notify('read_model', page);
    END LOOP;
    DELETE FROM pending_notification;
    RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS notify_change ON pending_notification;
CREATE CONSTRAINT TRIGGER notify_change AFTER INSERT ON pending_notification
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION notify_change();
