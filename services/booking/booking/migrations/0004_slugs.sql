-- A slug is one group's, and one calendar's, in its location: capitals make no difference.

DROP INDEX calendar_group_slug;
CREATE UNIQUE INDEX calendar_group_slug
    ON calendar_group (account_id, location_id, lower(state ->> 'slug')) WHERE deleted_at IS NULL;

-- Calendars could share one until now: the oldest has it, the others go on showing it until theirs
-- is changed.
ALTER TABLE calendar ADD COLUMN slug text;
UPDATE calendar c SET slug = lower(c.settings ->> 'slug')
 WHERE c.deleted_at IS NULL
   AND NOT EXISTS (SELECT FROM calendar o
                    WHERE o.account_id = c.account_id AND o.location_id = c.location_id
                      AND o.deleted_at IS NULL AND o.id < c.id
                      AND lower(o.settings ->> 'slug') = lower(c.settings ->> 'slug'));
CREATE UNIQUE INDEX calendar_slug ON calendar (account_id, location_id, slug)
    WHERE deleted_at IS NULL;
