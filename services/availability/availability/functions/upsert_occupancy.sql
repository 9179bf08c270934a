-- Replace the occupied times of a subject by these rows, and note the change for `notify_change`:
-- one round trip for each event.
CREATE OR REPLACE FUNCTION upsert_occupancy(
    p_account uuid, p_subject uuid, p_kind "char", p_week int,
    p_resources uuid[], p_blocks int[], p_starts bigint[], p_ends bigint[], p_expires bigint,
    p_before int, p_after int, p_day int, p_calendar uuid, p_session uuid,
    p_version_ids uuid[], p_versions bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    changed uuid[];
BEGIN
    WITH deleted AS (
        DELETE FROM occupied
         WHERE account_id = p_account AND subject = p_subject AND kind = p_kind AND week = p_week
        RETURNING resource_id, calendar_id
    )
    SELECT coalesce(array_agg(resource_id) || array_agg(calendar_id), '{}') INTO changed FROM deleted;
    INSERT INTO occupied
    SELECT p_account, k.resource, k.block, k.starts, k.ends, p_expires, p_before, p_after, p_week,
           p_day, p_subject, p_calendar, p_session, p_kind
      FROM unnest(p_resources, p_blocks, p_starts, p_ends) AS k (resource, block, starts, ends);
    INSERT INTO pending_notification
    VALUES (p_account, array_remove(changed || p_resources || p_calendar, NULL), '{}',
            p_version_ids, p_versions);
END
$$;
