-- At the commit, once for the whole transaction: raise versions, always in the same order, so that
-- batches of different partitions wait for each other and never deadlock; and notify every replica
-- of the ids to invalidate in its cache. One statement: PostgreSQL runs those of a deferred trigger one
-- by one at the commit.
CREATE OR REPLACE FUNCTION notify_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    this text := pg_current_xact_id()::text;
BEGIN
    IF current_setting('hoop.notified', true) IS NOT DISTINCT FROM this THEN
        RETURN NULL;
    END IF;
    this := set_config('hoop.notified', this, true);
    WITH pending AS (
        DELETE FROM pending_notification RETURNING *
    ), raised AS (
        INSERT INTO version AS v
        SELECT account_id, k.id, max(k.version)
          FROM pending, unnest(version_ids, versions) AS k (id, version)
         GROUP BY account_id, k.id ORDER BY account_id, k.id
        ON CONFLICT (account_id, id) DO UPDATE SET version = excluded.version
         WHERE v.version < excluded.version
    ), changed AS (
        SELECT replace(k::text, '-', '') AS id
          FROM pending, unnest(resource_ids || version_ids) AS k
        UNION
        SELECT '!' || replace(k::text, '-', '') FROM pending, unnest(calendar_ids) AS k
    ), numbered AS (
        SELECT id, row_number() OVER () / 200 AS page FROM changed
    ), pages AS (
        SELECT string_agg(id, ',') AS ids FROM numbered GROUP BY page
    )
    SELECT count(pg_notify('read_model', ids)) INTO this FROM pages;
    RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS notify_change ON pending_notification;
CREATE CONSTRAINT TRIGGER notify_change AFTER INSERT ON pending_notification
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION notify_change();
