-- The edits of a candidate are tested before the gate; what is left of it is a candidate of its own.

ALTER TABLE trials DROP CONSTRAINT trials_stage_check;
ALTER TABLE trials ADD CONSTRAINT trials_stage_check
    CHECK (stage IN ('blame', 'screen', 'edits', 'gate'));
ALTER TABLE candidates DROP CONSTRAINT candidates_origin_check;
ALTER TABLE candidates ADD CONSTRAINT candidates_origin_check
    CHECK (origin IN ('proven', 'last_good', 'predecessor', 'writer', 'diet', 'gepa', 'reduced'));
