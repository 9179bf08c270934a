-- What lists of appointments stand on, and notes.
--
-- Each list reads an index in the order in which it shows, beginning where the last page ended, so
-- that a page costs what it shows, whatever lies before and after it. `appointment_calendar` of
-- 0001 is such an index already.

-- The hosts, as the state spells them: the first; and all, where there are several. Columns and no
-- expressions on `state`: else every announcement would have to write to every index again.
-- Adding them writes the table anew.
ALTER TABLE appointment
    ADD COLUMN host    text  GENERATED ALWAYS AS (state #>> '{hosts,0}') STORED,
    ADD COLUMN cohosts jsonb GENERATED ALWAYS AS (
        CASE WHEN jsonb_array_length(state -> 'hosts') > 1 THEN state -> 'hosts' END) STORED;
CREATE INDEX appointment_host ON appointment (account_id, host, starts)
    WHERE deleted_at IS NULL AND held_until IS NULL;
CREATE INDEX appointment_cohosts ON appointment (account_id, starts)
    WHERE cohosts IS NOT NULL AND deleted_at IS NULL AND held_until IS NULL;

-- What reaches into a time from more than a day before it is found here, and only what lasts so
-- long stands here: hardly anything. The rest began within the day before.
CREATE INDEX appointment_long ON appointment USING gist (account_id, tstzrange(starts, ends))
    WHERE ends - starts > interval '1 day' AND deleted_at IS NULL AND held_until IS NULL;

CREATE INDEX appointment_contact ON appointment (account_id, contact_id, starts)
    WHERE deleted_at IS NULL AND held_until IS NULL;

-- Free text about an appointment: never announced. Of a deleted one only its id stays.
CREATE TABLE note (
    account_id     uuid        NOT NULL,
    id             uuid        NOT NULL,
    appointment_id uuid        NOT NULL,
    user_id        uuid,                   -- whose words these are, if anybody's
    created_by     uuid        NOT NULL,   -- the API key that wrote them
    body           text        NOT NULL,
    version        bigint      NOT NULL DEFAULT 1,
    date_added     timestamptz NOT NULL,
    date_updated   timestamptz NOT NULL,
    deleted_at     timestamptz,
    PRIMARY KEY (account_id, id),
    CHECK (deleted_at IS NULL OR body = '')
);
CREATE INDEX note_appointment ON note (account_id, appointment_id, id) WHERE deleted_at IS NULL;
