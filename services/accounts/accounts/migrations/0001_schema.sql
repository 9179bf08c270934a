-- Accounts and what belongs to them. `version` counts changes by clients, `sequence` announcements.

CREATE TABLE account (
    account_id   uuid        NOT NULL,
    id           uuid        NOT NULL,
    name         text        NOT NULL,
    plan         text        NOT NULL,
    status       text        NOT NULL CHECK (status IN ('active', 'read_only')),
    version      bigint      NOT NULL,
    sequence     bigint      NOT NULL,
    date_added   timestamptz NOT NULL,
    date_updated timestamptz NOT NULL,
    PRIMARY KEY (account_id, id),
    CHECK (account_id = id)
);

CREATE TABLE location (
    account_id   uuid        NOT NULL,
    id           uuid        NOT NULL,
    name         text        NOT NULL,
    time_zone    text        NOT NULL,
    version      bigint      NOT NULL,
    sequence     bigint      NOT NULL,
    date_added   timestamptz NOT NULL,
    date_updated timestamptz NOT NULL,
    PRIMARY KEY (account_id, id),
    FOREIGN KEY (account_id, account_id) REFERENCES account (account_id, id)
);

-- The ids in `location_ids` cannot be a foreign key. A transaction that writes one holds a share lock
-- on the location; one that deletes a location holds the exclusive lock and searches this table.
CREATE TABLE app_user (
    account_id   uuid        NOT NULL,
    id           uuid        NOT NULL,
    name         text        NOT NULL,
    email        text        NOT NULL,
    location_ids uuid[]      NOT NULL,
    time_zone    text,
    version      bigint      NOT NULL,
    sequence     bigint      NOT NULL,
    date_added   timestamptz NOT NULL,
    date_updated timestamptz NOT NULL,
    PRIMARY KEY (account_id, id),
    FOREIGN KEY (account_id, account_id) REFERENCES account (account_id, id)
);
CREATE INDEX app_user_locations ON app_user USING gin (location_ids);

CREATE TABLE contact (
    account_id   uuid        NOT NULL,
    id           uuid        NOT NULL,
    location_id  uuid        NOT NULL,
    name         text        NOT NULL,
    email        text        NOT NULL,
    phone        text        NOT NULL,
    time_zone    text,
    version      bigint      NOT NULL,
    sequence     bigint      NOT NULL,
    date_added   timestamptz NOT NULL,
    date_updated timestamptz NOT NULL,
    PRIMARY KEY (account_id, id),
    FOREIGN KEY (account_id, location_id) REFERENCES location (account_id, id)
);
CREATE INDEX contact_location ON contact (account_id, location_id, id);

-- A key is stored as the digest of its whole text. A limit of NULL does not limit; an empty
-- `location_ids` means every location.
CREATE TABLE api_key (
    account_id   uuid        NOT NULL,
    id           uuid        NOT NULL,
    name         text        NOT NULL,
    digest       text        NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    scopes       text[]      NOT NULL,
    location_ids uuid[]      NOT NULL,
    per_second   int         CHECK (per_second > 0),
    per_minute   int         CHECK (per_minute > 0),
    per_day      int         CHECK (per_day > 0),
    active       boolean     NOT NULL,
    expires_at   timestamptz,
    version      bigint      NOT NULL,
    sequence     bigint      NOT NULL,
    date_added   timestamptz NOT NULL,
    date_updated timestamptz NOT NULL,
    PRIMARY KEY (account_id, id),
    FOREIGN KEY (account_id, account_id) REFERENCES account (account_id, id)
);
CREATE INDEX api_key_locations ON api_key USING gin (location_ids);

-- Ids and last sequences of deleted rows: deleting one again succeeds without a new event.
CREATE TABLE deleted (
    account_id   uuid        NOT NULL,
    id           uuid        NOT NULL,
    kind         text        NOT NULL,
    sequence     bigint      NOT NULL,
    date_deleted timestamptz NOT NULL,
    PRIMARY KEY (account_id, id)
);

-- Which rows `bootstrap` has created for the demonstration.
CREATE TABLE demo (
    part       text PRIMARY KEY,
    account_id uuid NOT NULL,
    id         uuid NOT NULL
);
