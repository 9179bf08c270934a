-- What was answered to a request that carried an `Idempotency-Key`, in the transaction that did what
-- was asked: asked again, it is answered again and not done again.
CREATE TABLE answered (
    account_id uuid        NOT NULL,
    key        text        NOT NULL,
    -- SHA-256 of what was asked: the same key may not ask for anything else.
    digest     bytea       NOT NULL,
    status     int         NOT NULL,
    headers    jsonb       NOT NULL,
    body       bytea       NOT NULL,
    -- Business time.
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX answered_expiry ON answered (expires_at);
