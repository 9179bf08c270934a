-- Series are found by their id, which the states of their occurrences carry.

CREATE INDEX appointment_series ON appointment (account_id, (state #>> '{series,master}'), starts)
    WHERE state #>> '{series,master}' IS NOT NULL;

-- Holds that are no more, for a day: giving one back twice answers the same twice.
CREATE TABLE gone_hold (
    account_id  uuid        NOT NULL,
    id          uuid        NOT NULL,
    calendar_id uuid        NOT NULL,
    gone_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, id)
);
CREATE INDEX gone_hold_when ON gone_hold (gone_at);

CREATE FUNCTION remember_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gone_hold (account_id, id, calendar_id)
    VALUES (OLD.account_id, OLD.id, OLD.calendar_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE TRIGGER hold_released AFTER DELETE ON appointment FOR EACH ROW
    WHEN (OLD.held_until IS NOT NULL) EXECUTE FUNCTION remember_hold();
CREATE TRIGGER hold_booked AFTER UPDATE OF held_until ON appointment FOR EACH ROW
    WHEN (OLD.held_until IS NOT NULL AND NEW.held_until IS NULL) EXECUTE FUNCTION remember_hold();
