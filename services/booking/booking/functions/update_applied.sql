-- Copies the schedules and resources that apply to these calendars to the calendars' rows.
--
-- The rows must be locked before, in a statement of its own: this function then reads what the last
-- holder of the lock has committed.
CREATE OR REPLACE FUNCTION update_applied(p_account uuid, p_calendars uuid[]) RETURNS void
LANGUAGE sql AS $$
    UPDATE calendar c
       SET applied_version = applied_version + 1,
           needs = ARRAY(SELECT r.id FROM resource r
                          WHERE r.account_id = p_account AND r.calendar_ids @> ARRAY[c.id]
                            AND r.deleted_at IS NULL AND (r.state ->> 'isActive')::boolean
                          ORDER BY r.id),
           applied = jsonb_build_object(
               'schedules', coalesce(
                   (SELECT jsonb_agg(s.state ORDER BY s.id) FROM schedule s
                     WHERE s.account_id = p_account AND s.calendar_ids @> ARRAY[c.id]
                       AND s.deleted_at IS NULL), '[]'),
               'resources', coalesce(
                   (SELECT jsonb_agg(r.state ORDER BY r.id) FROM resource r
                     WHERE r.account_id = p_account AND r.calendar_ids @> ARRAY[c.id]
                       AND r.deleted_at IS NULL), '[]'))
     WHERE c.account_id = p_account AND c.id = ANY (p_calendars);
$$;
