-- Which mails a calendar wants sent. What decides about mail has a column; `details` is the rest of
-- what clients have said, in their names. A setting that is `deleted` stays: it switches its mail off.
CREATE TABLE setting (
    account_id        uuid,
    id                uuid,
    calendar_id       uuid        NOT NULL,
    receiver_type     text        NOT NULL,
    channel           text        NOT NULL,
    notification_type text        NOT NULL,
    is_active         boolean     NOT NULL,
    deleted           boolean     NOT NULL DEFAULT false,
    details           jsonb       NOT NULL,
    -- Who else gets this mail: {id: role}, of `addressee` and `staff`.
    extras            jsonb       NOT NULL DEFAULT '{}',
    version           int         NOT NULL DEFAULT 1,
    date_added        timestamptz NOT NULL,
    date_updated      timestamptz NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX setting_calendar ON setting (account_id, calendar_id, id);
CREATE INDEX setting_of_calendar ON setting (calendar_id);

-- Mail addresses that settings name. They have ids, so that no event bears an address.
CREATE TABLE addressee (
    account_id uuid,
    id         uuid,
    name       text    NOT NULL DEFAULT '',
    email      text    NOT NULL,
    time_zone  text,
    gone       boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, email)
);

-- Settings are answered for calendars that are there, and to keys that may see their location.
ALTER TABLE calendar
    ADD COLUMN location_id uuid,
    ADD COLUMN deleted     boolean NOT NULL DEFAULT false;

ALTER TABLE thread DROP CONSTRAINT thread_role_check,
    ADD CONSTRAINT thread_role_check CHECK (role IN ('contact', 'user', 'addressee', 'colleague'));
