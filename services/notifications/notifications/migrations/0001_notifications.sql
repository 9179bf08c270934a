-- Whom and what we write about: projections of what other services own, as far as a mail needs it.
-- A row that is `gone` has lost its text; it stays, so that nobody waits for it.
CREATE TABLE calendar (
    account_id uuid,
    id         uuid,
    name       text NOT NULL,
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
    gone       boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account_id, id)
);
CREATE TABLE staff (
    account_id uuid,
    id         uuid,
    name       text    NOT NULL DEFAULT '',
    email      text    NOT NULL DEFAULT '',
    time_zone  text,
    gone       boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account_id, id)
);

-- The newest state of each appointment, as it was announced. Its row is the lock of its threads.
CREATE TABLE appointment (
    account_id uuid,
    id         uuid,
    state      jsonb NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX appointment_id ON appointment (id);

-- An appointment and one of its receivers: what they count as told, and what is owed to them.
CREATE TABLE thread (
    account_id     uuid,
    appointment_id uuid,
    receiver_id    uuid,
    role           text    NOT NULL CHECK (role IN ('contact', 'user')),
    told           jsonb,
    believes       boolean NOT NULL DEFAULT false,
    owed           text,
    owed_since     timestamptz,
    PRIMARY KEY (account_id, appointment_id, receiver_id),
    FOREIGN KEY (account_id, appointment_id) REFERENCES appointment (account_id, id) ON DELETE CASCADE,
    CHECK ((owed IS NULL) = (owed_since IS NULL))
);
CREATE INDEX thread_appointment ON thread (appointment_id);

-- Every message that went, may have gone, waits to go or could not go. `letter` is what a message
-- in the air says, so that it can be said again in the same words; it goes when the message has gone.
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
    told           jsonb       NOT NULL,
    letter         jsonb,
    address        text,
    reason         text,
    -- An earlier transmission of it may have arrived.
    in_doubt       boolean     NOT NULL DEFAULT false,
    -- How often its fate has been announced.
    announced      int         NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, appointment_id, occasion, receiver_id, channel),
    FOREIGN KEY (account_id, appointment_id, receiver_id) REFERENCES thread ON DELETE CASCADE,
    CHECK (letter IS NULL OR status = 'sending')
);
-- One at a time in a thread: what comes next depends on what became of the one before.
CREATE UNIQUE INDEX message_under_way ON message (account_id, appointment_id, receiver_id)
    WHERE status IN ('waiting', 'sending');
-- Erasure finds what is still kept about a receiver.
CREATE INDEX message_address ON message (account_id, receiver_id)
    WHERE address IS NOT NULL OR letter IS NOT NULL;

-- A receiver whose address changed is found among the open wishes.
CREATE INDEX work_provider_user ON work (provider, provider_user) WHERE status <> 'done';
