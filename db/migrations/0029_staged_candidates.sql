-- A healing may keep its candidate until there are enough new cases to prove it on; the next healing
-- of the same incumbent tries it first.

ALTER TABLE healings DROP CONSTRAINT healings_outcome_check;
ALTER TABLE healings ADD CONSTRAINT healings_outcome_check CHECK (outcome IN
    ('healthy', 'frozen', 'rejected', 'collecting', 'needs_approval', 'canary', 'promoted'));

ALTER TABLE candidates DROP CONSTRAINT candidates_origin_check;
ALTER TABLE candidates ADD CONSTRAINT candidates_origin_check CHECK (origin IN
    ('staged', 'proven', 'last_good', 'predecessor', 'writer', 'gepa', 'reduced', 'diet'));

-- The plan of a golden case, made once for a manager's version and a model, for all healings of the
-- worker. One row a case: a later version's plan replaces it.
CREATE TABLE golden_plans (
    key             text    PRIMARY KEY,  -- the case, and its text
    manager_version integer NOT NULL,
    model           text    NOT NULL,
    plan            jsonb   NOT NULL
);
