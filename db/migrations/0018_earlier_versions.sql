-- Versions that were live before are the first candidates of a healing, each with its reason.

ALTER TABLE candidates DROP CONSTRAINT candidates_origin_check;
ALTER TABLE candidates ADD CONSTRAINT candidates_origin_check
    CHECK (origin IN ('proven', 'last_good', 'predecessor', 'writer', 'diet', 'gepa'));

-- The outcome of the last optimizer run, and the reason.
ALTER TABLE optimizer_outcomes ADD COLUMN reason text NOT NULL DEFAULT '';
