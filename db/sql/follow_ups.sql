-- name: add
-- A staged version is approved or refused, a canary promoted or rolled back; what was promoted may
-- be rolled back later. A canary that is held waits for approval, which is stored once for a
-- reason. Any other healing has no further steps. The receipt keeps what was decided.
WITH moved AS (
    UPDATE healings SET outcome = %(outcome)s
    WHERE id = %(healing_id)s AND outcome IN ('canary', 'needs_approval', 'promoted')
      AND ((outcome, %(outcome)s) <> ('needs_approval', 'needs_approval')
           OR %(reason)s::jsonb ->> 'code' <> (
               SELECT reason ->> 'code' FROM healing_follow_ups
               WHERE healing_id = %(healing_id)s ORDER BY id DESC LIMIT 1))
    RETURNING id)
INSERT INTO healing_follow_ups (healing_id, outcome, reason, actor)
SELECT id, %(outcome)s, %(reason)s, %(actor)s FROM moved;
