-- A diet leaves sentences of a prompt out; it may find that none can go.

ALTER TABLE candidates DROP CONSTRAINT candidates_origin_check;
ALTER TABLE candidates ADD CONSTRAINT candidates_origin_check
    CHECK (origin IN ('last_good', 'writer', 'diet'));
ALTER TABLE healings DROP CONSTRAINT healings_outcome_check;
ALTER TABLE healings ADD CONSTRAINT healings_outcome_check CHECK (outcome IN
    ('healthy', 'frozen', 'rejected', 'needs_approval', 'canary', 'promoted'));
