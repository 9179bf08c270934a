-- Keeps the ids of holds that were released or booked.
CREATE OR REPLACE FUNCTION insert_gone_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gone_hold (account_id, id, calendar_id)
    VALUES (OLD.account_id, OLD.id, OLD.calendar_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS hold_released ON appointment;
CREATE TRIGGER hold_released AFTER DELETE ON appointment FOR EACH ROW
    WHEN (OLD.held_until IS NOT NULL) EXECUTE FUNCTION insert_gone_hold();

DROP TRIGGER IF EXISTS hold_booked ON appointment;
CREATE TRIGGER hold_booked AFTER UPDATE OF held_until ON appointment FOR EACH ROW
    WHEN (OLD.held_until IS NOT NULL AND NEW.held_until IS NULL) EXECUTE FUNCTION insert_gone_hold();
