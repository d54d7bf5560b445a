-- Attribution: an agent's last good version is tried on cases that failed.

ALTER TABLE trials DROP CONSTRAINT trials_stage_check;
ALTER TABLE trials ADD CONSTRAINT trials_stage_check CHECK (stage IN ('blame', 'screen', 'gate'));
-- The failure window is the deployment's: runs under all three live versions.
CREATE INDEX runs_ended ON runs (finished_at) WHERE outcome IS NOT NULL;
