-- Copies the schedules and resources that apply to these calendars to the calendars' rows.
--
-- The rows must be locked before, in a statement of its own: this function then reads what the last
-- holder of the lock has committed.
CREATE OR REPLACE FUNCTION update_applied(p_account uuid, p_calendars uuid[]) RETURNS void
LANGUAGE sql AS $$
    UPDATE calendar c
       SET applied_version = applied_version + 1,
           needs = ARRAY(SELECT a.id FROM asset a
                          WHERE a.account_id = p_account AND a.calendar_ids @> ARRAY[c.id]
                            AND a.deleted_at IS NULL AND (a.state ->> 'isActive')::boolean
                          ORDER BY a.id),
           applied = jsonb_build_object(
               'schedules', coalesce(
                   (SELECT jsonb_agg(s.state ORDER BY s.id) FROM schedule s
                     WHERE s.account_id = p_account AND s.calendar_ids @> ARRAY[c.id]
                       AND s.deleted_at IS NULL), '[]'),
               'resources', coalesce(
                   (SELECT jsonb_agg(a.state ORDER BY a.id) FROM asset a
                     WHERE a.account_id = p_account AND a.calendar_ids @> ARRAY[c.id]
                       AND a.deleted_at IS NULL), '[]'))
     WHERE c.account_id = p_account AND c.id = ANY (p_calendars);
$$;
