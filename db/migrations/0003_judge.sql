-- The judge's agreement with the golden verdicts, at each check.

CREATE TABLE judge_checks (
    id             bigserial   PRIMARY KEY,
    model          text        NOT NULL,
    prompt_version integer     NOT NULL,
    asked          integer     NOT NULL CHECK (asked > 0),
    agreed         integer     NOT NULL CHECK (agreed BETWEEN 0 AND asked),
    drifted        boolean     NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX judge_checks_recent ON judge_checks (created_at DESC);

ALTER TABLE healings DROP CONSTRAINT healings_outcome_check;
ALTER TABLE healings ADD CONSTRAINT healings_outcome_check
    CHECK (outcome IN ('frozen', 'rejected', 'needs_approval', 'canary', 'promoted'));
