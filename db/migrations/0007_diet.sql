-- Prompt shortening ("diet") removes sentences; it may find that none can be removed.

ALTER TABLE candidates DROP CONSTRAINT candidates_origin_check;
ALTER TABLE candidates ADD CONSTRAINT candidates_origin_check
    CHECK (origin IN ('last_good', 'writer', 'diet'));
ALTER TABLE healings DROP CONSTRAINT healings_outcome_check;
ALTER TABLE healings ADD CONSTRAINT healings_outcome_check CHECK (outcome IN
    ('healthy', 'frozen', 'rejected', 'needs_approval', 'canary', 'promoted'));
