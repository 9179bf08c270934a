-- The inbox of a consumer. What is several statements here is one round trip for the consumer.
--
-- While an old snapshot keeps vacuum from removing old versions of offsets, the table holds many of them.
-- It is never read from its beginning, even if it was small when the plan was made.

-- Lock the partition for this transaction; returns the next offset to handle.
CREATE OR REPLACE FUNCTION lock_offset(p_topic text, p_partition int) RETURNS bigint
LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    newest bigint;
BEGIN
    LOOP
        SELECT next_offset INTO newest FROM consumer_offset
         WHERE topic = p_topic AND partition = p_partition
         ORDER BY next_offset DESC LIMIT 1 FOR UPDATE;
        IF FOUND THEN
            RETURN newest;
        END IF;
        INSERT INTO consumer_offset VALUES (p_topic, p_partition, 0) ON CONFLICT DO NOTHING;
    END LOOP;
END
$$;

-- Lock the partition; returns the next offset, and the newest sequences applied of these aggregates
-- as two arrays (null: none). They are read by a statement of their own: its snapshot must not be
-- older than the lock, or what the partition's last owner applied would be applied again.
CREATE OR REPLACE FUNCTION enter_batch(
    p_topic text, p_partition int, p_subjects text[],
    OUT next_offset bigint, OUT subjects text[], OUT sequences bigint[]
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
    next_offset := lock_offset(p_topic, p_partition);
    SELECT array_agg(a.subject), array_agg(a.sequence) INTO subjects, sequences
      FROM applied_event AS a WHERE a.topic = p_topic AND a.subject = ANY (p_subjects);
END
$$;

-- Store the sequences applied and the next offset. An older one never replaces a newer one. Returns
-- whether the offset was older.
CREATE OR REPLACE FUNCTION leave_batch(
    p_topic text, p_partition int, p_next bigint, p_subjects text[], p_sequences bigint[]
) RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    before bigint := lock_offset(p_topic, p_partition);
BEGIN
    INSERT INTO applied_event AS a (topic, subject, sequence)
    SELECT p_topic, n.subject, n.sequence FROM unnest(p_subjects, p_sequences) AS n (subject, sequence)
    ON CONFLICT (topic, subject) DO UPDATE SET sequence = excluded.sequence
     WHERE a.sequence < excluded.sequence;
    UPDATE consumer_offset SET next_offset = p_next
     WHERE topic = p_topic AND partition = p_partition AND next_offset = before AND before < p_next;
    RETURN before < p_next;
END
$$;

-- One row a partition: an offset that is inserted beside another one is ignored.
CREATE OR REPLACE FUNCTION first_offset() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM consumer_offset WHERE topic = NEW.topic AND partition = NEW.partition) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER first_offset BEFORE INSERT ON consumer_offset
    FOR EACH ROW EXECUTE FUNCTION first_offset();
