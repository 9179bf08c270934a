-- Users that were deleted. They are known no more, but what they host can still be given to others.
CREATE TABLE deleted_user (
    account_id uuid NOT NULL,
    id         uuid NOT NULL,
    PRIMARY KEY (account_id, id)
);

-- Appointments of which a host was deleted: few, and listed by their start. A column, like the hosts.
ALTER TABLE appointment ADD COLUMN needs_host boolean NOT NULL
    GENERATED ALWAYS AS (coalesce((state ->> 'needsHost')::boolean, false)) STORED;
CREATE INDEX appointment_needs_host ON appointment (account_id, location_id, starts)
    WHERE needs_host AND deleted_at IS NULL AND held_until IS NULL;
