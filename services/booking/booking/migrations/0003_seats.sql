-- The backstop of "one contact takes one seat of a session": the contact of an appointment that entered
-- its session while the calendar did not allow the same contact twice; else null, also in sessions of
-- one seat, which need no index entry.
ALTER TABLE appointment ADD COLUMN unique_contact uuid;
CREATE UNIQUE INDEX appointment_unique_contact
    ON appointment (account_id, session_id, unique_contact)
    WHERE unique_contact IS NOT NULL AND seat IS NOT NULL;

-- The list of all appointments of a location.
CREATE INDEX appointment_location ON appointment (account_id, location_id, starts)
    WHERE deleted_at IS NULL AND held_until IS NULL;
