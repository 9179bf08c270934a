-- Let one request in, or say how long to wait. What is refused is not counted. Null: no such limit.
--
-- Windows move: no second and no minute, wherever it begins, sees more than its limit. Instants
-- that lie ahead (the clock went back) count as now, so that they are forgotten a minute later.
CREATE OR REPLACE FUNCTION spend(
    p_who text, p_account text, p_second int, p_minute int, p_day int,
    OUT allowed boolean, OUT in_second int, OUT in_minute int, OUT on_day int, OUT wait interval
) LANGUAGE plpgsql AS $$
DECLARE
    now_  timestamptz;
    kept  timestamptz[];
    today date;
BEGIN
    INSERT INTO recent_requests AS a (who) VALUES (p_who)
        ON CONFLICT (who) DO UPDATE SET recent = a.recent RETURNING recent INTO kept;
    now_ := clock_timestamp();
    today := (now_ AT TIME ZONE 'UTC')::date;
    INSERT INTO daily_requests AS d (account, day) VALUES (p_account, today)
        ON CONFLICT (account, day) DO UPDATE SET n = d.n RETURNING n INTO on_day;

    -- newest first
    SELECT coalesce(array_agg(t ORDER BY t DESC), '{}'), count(*),
           count(*) FILTER (WHERE t > now_ - interval '1 second')
      INTO kept, in_minute, in_second
      FROM (SELECT least(t, now_) AS t FROM unnest(kept) AS t) AS r
     WHERE t > now_ - interval '1 minute';

    wait := greatest(
        CASE WHEN in_second >= p_second THEN coalesce(kept[p_second], now_) + interval '1 second' - now_ END,
        CASE WHEN in_minute >= p_minute THEN coalesce(kept[p_minute], now_) + interval '1 minute' - now_ END,
        CASE WHEN on_day >= p_day THEN (today + 1)::timestamp AT TIME ZONE 'UTC' - now_ END);
    allowed := wait IS NULL;
    IF allowed THEN
        UPDATE recent_requests SET recent = now_ || kept WHERE who = p_who;
        UPDATE daily_requests SET n = n + 1 WHERE account = p_account AND day = today;
        in_second := in_second + 1;
        in_minute := in_minute + 1;
        on_day := on_day + 1;
    END IF;
END
$$;
