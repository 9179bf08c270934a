-- What occupies time, whoever says so, as numbers in one table; versions; and the news of each commit.

-- Times are epoch milliseconds, buffers minutes. `block` counts 32 days from 1970: a row stands in
-- the block that it starts in; what is longer than a week is cut at their borders.
CREATE TABLE occupied (
    account_id    uuid    NOT NULL,
    resource_id   uuid    NOT NULL,  -- host, calendar, room or equipment
    block         int     NOT NULL,
    starts        bigint  NOT NULL,
    ends          bigint  NOT NULL,
    expires       bigint,            -- of a hold
    buffer_before int     NOT NULL,
    buffer_after  int     NOT NULL,
    part          int     NOT NULL,  -- of a week of a connection: 202709; else 0
    local_day     int,               -- of an appointment or hold: days from 1970 to its local start date
    subject       uuid    NOT NULL,  -- appointment, hold, block slot or connection
    calendar_id   uuid,
    session_id    uuid,
    kind          "char"  NOT NULL   -- a: appointment, h: hold, b: block slot, x: external
);

CREATE FUNCTION block_of(instant bigint) RETURNS int LANGUAGE sql IMMUTABLE AS
$$ SELECT floor(instant / 2764800000.0)::int $$;

INSERT INTO occupied
SELECT account_id, resource_id, block_of(starts), starts, ends, NULL, buffer_before, buffer_after, 0,
       local_day - date '1970-01-01', appointment_id, calendar_id, session_id, 'a'
  FROM (SELECT *, (extract(epoch FROM lower(during)) * 1000)::bigint AS starts,
               (extract(epoch FROM upper(during)) * 1000)::bigint AS ends FROM taken) AS t;

INSERT INTO occupied
SELECT account_id, resource_id, block_of(starts), starts, ends, NULL, 0, 0,
       replace(week, '-W', '')::int, NULL, connection_id, NULL, NULL, 'x'
  FROM (SELECT *, (extract(epoch FROM lower(during)) * 1000)::bigint AS starts,
               (extract(epoch FROM upper(during)) * 1000)::bigint AS ends FROM external_busy) AS t
 WHERE starts < ends;

CREATE INDEX occupied_window ON occupied (account_id, resource_id, block);
CREATE INDEX occupied_subject ON occupied (subject, account_id, kind, part);
CREATE INDEX occupied_day ON occupied (account_id, calendar_id, local_day)
 WHERE local_day IS NOT NULL;

DROP TABLE taken, external_busy;

CREATE TABLE schedule (
    account_id   uuid   NOT NULL,
    id           uuid   NOT NULL,
    calendar_ids uuid[] NOT NULL,
    state        jsonb  NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX schedule_calendars ON schedule USING gin (calendar_ids);

-- Rooms and equipment.
CREATE TABLE asset (
    account_id   uuid   NOT NULL,
    id           uuid   NOT NULL,
    calendar_ids uuid[] NOT NULL,
    state        jsonb  NOT NULL,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX asset_calendars ON asset USING gin (calendar_ids);

-- The newest version of each calendar, host, room or equipment that an event has told.
CREATE TABLE version (
    account_id uuid   NOT NULL,
    id         uuid   NOT NULL,
    version    bigint NOT NULL,
    PRIMARY KEY (account_id, id)
);

-- What the running transaction has touched: written by it, and gone when it commits.
CREATE UNLOGGED TABLE news (
    account_id uuid     NOT NULL,
    ids        uuid[]   NOT NULL,  -- whose times were touched
    rules      uuid[]   NOT NULL,  -- calendars whose rules were
    version_of uuid[]   NOT NULL,
    versions   bigint[] NOT NULL
) WITH (autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_cost_delay = 0);

-- At the commit, once for the whole transaction: versions are raised in one order, so that batches
-- of different partitions that meet wait for each other and never deadlock; and every replica is told
-- what to forget.
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    this text := pg_current_xact_id()::text;
    page text;
BEGIN
    IF current_setting('hoop.told', true) IS NOT DISTINCT FROM this THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('hoop.told', this, true);
    INSERT INTO version AS v
    SELECT account_id, k.id, max(k.version) FROM news, unnest(version_of, versions) AS k (id, version)
     GROUP BY account_id, k.id ORDER BY account_id, k.id
    ON CONFLICT (account_id, id) DO UPDATE SET version = excluded.version
     WHERE v.version < excluded.version;
    FOR page IN
        WITH touched AS (
            SELECT replace(k::text, '-', '') AS id FROM news, unnest(ids || version_of) AS k
            UNION
            SELECT '!' || replace(k::text, '-', '') FROM news, unnest(rules) AS k
        ), numbered AS (
            SELECT id, row_number() OVER () / 200 AS page FROM touched
        )
        SELECT string_agg(n.id, ',') FROM numbered AS n GROUP BY n.page
    LOOP
        PERFORM pg_notify('read_model', page);
    END LOOP;
    DELETE FROM news;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON news
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tell();

-- Replace what a subject occupies by these rows, and note it as news: one round trip for an event.
CREATE FUNCTION keep(
    p_account uuid, p_subject uuid, p_kind "char", p_part int,
    p_resources uuid[], p_blocks int[], p_starts bigint[], p_ends bigint[], p_expires bigint,
    p_before int, p_after int, p_day int, p_calendar uuid, p_session uuid,
    p_version_of uuid[], p_versions bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    touched uuid[];
BEGIN
    WITH gone AS (
        DELETE FROM occupied
         WHERE account_id = p_account AND subject = p_subject AND kind = p_kind AND part = p_part
        RETURNING resource_id, calendar_id
    )
    SELECT coalesce(array_agg(resource_id) || array_agg(calendar_id), '{}') INTO touched FROM gone;
    INSERT INTO occupied
    SELECT p_account, k.resource, k.block, k.starts, k.ends, p_expires, p_before, p_after, p_part,
           p_day, p_subject, p_calendar, p_session, p_kind
      FROM unnest(p_resources, p_blocks, p_starts, p_ends) AS k (resource, block, starts, ends);
    INSERT INTO news
    VALUES (p_account, array_remove(touched || p_resources || p_calendar, NULL), '{}',
            p_version_of, p_versions);
END
$$;
