-- The agent whose model answered a run in a form that cannot be used: cut off, against its schema, or
-- without code. A prompt can cause that; the other reasons for a run without a verdict are outages.
-- Of earlier runs only those of manager and worker are known.
ALTER TABLE runs ADD COLUMN unusable text CHECK (unusable IN ('manager', 'worker', 'evaluator'));
UPDATE runs SET unusable = CASE WHEN worker_version IS NULL THEN 'manager' ELSE 'worker' END
WHERE assistant = 'agent' AND outcome = 'output';

-- A canary that exceeds a guard is held at its share, and waits for approval.
ALTER TABLE healing_follow_ups
    DROP CONSTRAINT healing_follow_ups_outcome_check,
    ADD CONSTRAINT healing_follow_ups_outcome_check
        CHECK (outcome IN ('rejected', 'needs_approval', 'canary', 'promoted'));
