-- The threads of one receiver about the occurrences of a series are one conversation: they share the
-- `subject` of its messages.
ALTER TABLE thread DROP CONSTRAINT thread_subject_key;
CREATE INDEX thread_subject ON thread (subject);
