-- Projections of other services' entities, as far as a mail needs them. A row that is `erased` has
-- lost its texts; the row stays, so that no message waits for the entity.
CREATE TABLE calendar (
    account_id  uuid,
    id          uuid,
    name        text    NOT NULL,
    location_id uuid,
    -- The settings of a deleted calendar are not shown; its name stays for cancellations.
    deleted     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account_id, id)
);
CREATE TABLE location (
    account_id uuid,
    id         uuid,
    name       text NOT NULL,
    time_zone  text NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE TABLE contact (
    account_id uuid,
    id         uuid,
    name       text    NOT NULL DEFAULT '',
    email      text    NOT NULL DEFAULT '',
    time_zone  text,
    erased     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account_id, id)
);
CREATE TABLE app_user (
    account_id uuid,
    id         uuid,
    name       text    NOT NULL DEFAULT '',
    email      text    NOT NULL DEFAULT '',
    time_zone  text,
    erased     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account_id, id)
);

-- Mail addresses that settings name. Each has an id, so that no event contains an address.
CREATE TABLE addressee (
    account_id uuid,
    id         uuid,
    name       text    NOT NULL DEFAULT '',
    email      text    NOT NULL,
    time_zone  text,
    erased     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, email)
);

-- The notification settings of calendars. What decides about mail has a column; `details` is the
-- rest of what clients sent, under its names in JSON. A deleted setting stays: it switches mail off.
CREATE TABLE notification_setting (
    account_id        uuid,
    id                uuid,
    calendar_id       uuid        NOT NULL,
    receiver_type     text        NOT NULL,
    channel           text        NOT NULL,
    notification_type text        NOT NULL,
    is_active         boolean     NOT NULL,
    deleted           boolean     NOT NULL DEFAULT false,
    details           jsonb       NOT NULL,
    -- Who else gets this mail: {id: role}, where the role is `addressee` or `colleague`.
    extra_receivers   jsonb       NOT NULL DEFAULT '{}',
    version           int         NOT NULL DEFAULT 1,
    date_added        timestamptz NOT NULL,
    date_updated      timestamptz NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX notification_setting_calendar ON notification_setting (account_id, calendar_id, id);
-- For the tombstone of a calendar, which names no account.
CREATE INDEX notification_setting_calendar_id ON notification_setting (calendar_id);

-- The newest state of each appointment, as announced, and the ids that a mail looks up. The row is
-- the lock of its threads.
CREATE TABLE appointment (
    account_id  uuid,
    id          uuid,
    state       jsonb NOT NULL,
    calendar_id uuid  NOT NULL,
    location_id uuid  NOT NULL,
    contact_id  uuid  NOT NULL,
    user_id     uuid,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX appointment_id ON appointment (id);

-- An appointment and one of its receivers. The messages of a thread are external objects of its
-- `subject`; the thread says what they do not: the state that the receiver counts as notified of, by
-- the messages up to the number `counted` and by changes without a message; whether the receiver
-- expects the appointment to happen; and the occasion that the newest event has left pending.
CREATE TABLE thread (
    account_id          uuid,
    appointment_id      uuid,
    receiver_id         uuid,
    subject             text    NOT NULL UNIQUE,
    role                text    NOT NULL CHECK (role IN ('contact', 'user', 'addressee', 'colleague')),
    notified            jsonb,
    expects_appointment boolean NOT NULL,
    counted             int     NOT NULL,
    pending_occasion    text,
    pending_since       timestamptz,
    PRIMARY KEY (account_id, appointment_id, receiver_id),
    FOREIGN KEY (account_id, appointment_id) REFERENCES appointment (account_id, id) ON DELETE CASCADE,
    CHECK ((pending_occasion IS NULL) = (pending_since IS NULL))
);
CREATE INDEX thread_appointment ON thread (appointment_id);
-- Erasure finds what is stored about a receiver.
CREATE INDEX thread_receiver ON thread (account_id, receiver_id);
