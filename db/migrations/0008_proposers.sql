-- Other proposers than the writer.

ALTER TABLE candidates DROP CONSTRAINT candidates_origin_check;
ALTER TABLE candidates ADD CONSTRAINT candidates_origin_check
    CHECK (origin IN ('last_good', 'writer', 'diet', 'gepa'));
