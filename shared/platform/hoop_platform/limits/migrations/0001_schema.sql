-- Who asked how often: counted under a row lock by the database's clock, so that any number of
-- replicas of any number of services count together, exactly.

-- The instants of the last minute at which this key (or address) was let in.
CREATE TABLE recent_requests (
    who    text          PRIMARY KEY,
    recent timestamptz[] NOT NULL DEFAULT '{}'
);

-- The day's count is shared by all keys of an account. Days are UTC.
CREATE TABLE daily_requests (
    account text NOT NULL,
    day     date NOT NULL,
    n       int  NOT NULL DEFAULT 0,
    PRIMARY KEY (account, day)
);
