-- Desired states that a worker may claim now: due, not leased, the circuit closed, and no other one
-- of the same provider user leased.
CREATE OR REPLACE VIEW ready_work AS
SELECT w.*
  FROM work AS w
 WHERE w.status = 'due'
   AND w.next_attempt_at <= statement_timestamp()
   AND (w.lease_until IS NULL OR w.lease_until < statement_timestamp())
   AND NOT EXISTS (SELECT FROM circuit AS c
                    WHERE c.provider = w.provider AND c.provider_user = w.provider_user
                      AND c.open_until > statement_timestamp())
   AND NOT EXISTS (SELECT FROM work AS o
                    WHERE o.provider = w.provider AND o.provider_user = w.provider_user
                      AND o.lease_until > statement_timestamp());
