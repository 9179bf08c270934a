-- The wishes that a hand may take now: due, in nobody's hands, their principal's gate open, and
-- nobody else at work for that principal.
CREATE VIEW ready_work AS
SELECT w.*
  FROM work AS w
 WHERE w.status = 'due'
   AND w.next_attempt_at <= statement_timestamp()
   AND (w.lease_until IS NULL OR w.lease_until < statement_timestamp())
   AND NOT EXISTS (SELECT FROM gate AS g
                    WHERE g.provider = w.provider AND g.principal = w.principal
                      AND g.open_at > statement_timestamp())
   AND NOT EXISTS (SELECT FROM work AS o
                    WHERE o.provider = w.provider AND o.principal = w.principal
                      AND o.lease_until > statement_timestamp());
