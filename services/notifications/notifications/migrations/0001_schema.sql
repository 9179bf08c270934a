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

-- The newest state of each appointment, as announced. The row is the lock of its threads.
CREATE TABLE appointment (
    account_id uuid,
    id         uuid,
    state      jsonb NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX appointment_id ON appointment (id);

-- An appointment and one of its receivers: the state that the receiver counts as notified of, whether
-- the receiver expects the appointment to happen, and the occasion of the pending message.
CREATE TABLE thread (
    account_id          uuid,
    appointment_id      uuid,
    receiver_id         uuid,
    role                text    NOT NULL CHECK (role IN ('contact', 'user', 'addressee', 'colleague')),
    notified            jsonb,
    expects_appointment boolean NOT NULL DEFAULT false,
    pending_occasion    text,
    pending_since       timestamptz,
    PRIMARY KEY (account_id, appointment_id, receiver_id),
    FOREIGN KEY (account_id, appointment_id) REFERENCES appointment (account_id, id) ON DELETE CASCADE,
    CHECK ((pending_occasion IS NULL) = (pending_since IS NULL))
);
CREATE INDEX thread_appointment ON thread (appointment_id);

-- Every message that was delivered, may have been, waits or could not be. `content` is stored while
-- the message is in flight, so that it can be sent again unchanged.
CREATE TABLE message (
    account_id     uuid,
    id             uuid,
    appointment_id uuid        NOT NULL,
    receiver_id    uuid        NOT NULL,
    channel        text        NOT NULL DEFAULT 'email' CHECK (channel = 'email'),
    kind           text        NOT NULL CHECK (kind IN ('booked', 'rescheduled', 'cancelled', 'link')),
    occasion       text        NOT NULL,
    status         text        NOT NULL
        CHECK (status IN ('waiting', 'sending', 'sent', 'doubtful', 'failed', 'dropped')),
    notified       jsonb       NOT NULL,
    content        jsonb,
    address        text,
    reason         text,
    -- An earlier transmission of the message may have been delivered.
    in_doubt       boolean     NOT NULL DEFAULT false,
    -- How often a final status of the message has been announced.
    announced      int         NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, appointment_id, occasion, receiver_id, channel),
    FOREIGN KEY (account_id, appointment_id, receiver_id) REFERENCES thread ON DELETE CASCADE,
    CHECK (content IS NULL OR status = 'sending')
);
-- One message under way per thread: the next one depends on the outcome.
CREATE UNIQUE INDEX message_under_way ON message (account_id, appointment_id, receiver_id)
    WHERE status IN ('waiting', 'sending');
-- Erasure finds what is still stored about a receiver.
CREATE INDEX message_address ON message (account_id, receiver_id)
    WHERE address IS NOT NULL OR content IS NOT NULL;

-- The open desired states of a receiver whose address changed.
CREATE INDEX work_provider_user ON work (provider, provider_user) WHERE status <> 'done';
