-- Healings: what was tried, on what, and what became of it.

CREATE TABLE healings (
    id                uuid        PRIMARY KEY,
    agent             text        NOT NULL CHECK (agent IN ('manager', 'worker', 'evaluator')),
    trigger           text        NOT NULL,
    state             text        NOT NULL,
    outcome           text        CHECK (outcome IN ('rejected', 'needs_approval', 'canary', 'promoted')),
    reason            text        NOT NULL DEFAULT '',
    errored           boolean     NOT NULL DEFAULT false,
    incumbent_version integer     NOT NULL,
    to_version        integer,
    holder            uuid        NOT NULL,
    lease_until       timestamptz NOT NULL,
    calls_reserved    integer     NOT NULL DEFAULT 0,
    calls_used        integer     NOT NULL DEFAULT 0,
    input_tokens      integer     NOT NULL DEFAULT 0,
    output_tokens     integer     NOT NULL DEFAULT 0,
    receipt           jsonb,
    opened_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at         timestamptz,
    CHECK ((outcome IS NULL) = (closed_at IS NULL))
);
-- One healing at a time in a deployment, whatever triggers it.
CREATE UNIQUE INDEX healings_one_open ON healings ((true)) WHERE closed_at IS NULL;
CREATE INDEX healings_recent ON healings (opened_at DESC);

CREATE TABLE candidates (
    healing_id uuid    NOT NULL REFERENCES healings (id) ON DELETE CASCADE,
    ordinal    integer NOT NULL,
    round      integer NOT NULL,
    origin     text    NOT NULL CHECK (origin IN ('last_good', 'writer')),
    text       text    NOT NULL,
    rationale  text    NOT NULL,
    PRIMARY KEY (healing_id, ordinal)
);

-- A trial is one case run once under one prompt. The key makes a repetition after a kill harmless.
CREATE TABLE trials (
    healing_id uuid             NOT NULL REFERENCES healings (id) ON DELETE CASCADE,
    stage      text             NOT NULL CHECK (stage IN ('screen', 'gate')),
    arm        integer          NOT NULL,  -- a candidate's ordinal; 0 is the incumbent
    case_id    text             NOT NULL,
    outcome    text             NOT NULL,
    passed     boolean          NOT NULL,
    score      double precision NOT NULL,
    executed   boolean          NOT NULL,
    calls      integer          NOT NULL,
    created_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (healing_id, stage, arm, case_id)
);
CREATE INDEX trials_by_case ON trials (case_id) WHERE stage = 'gate';

-- The plan of a case is made once in a healing and shared by all its trials.
CREATE TABLE plans (
    healing_id uuid  NOT NULL REFERENCES healings (id) ON DELETE CASCADE,
    case_id    text  NOT NULL,
    plan       jsonb NOT NULL,
    PRIMARY KEY (healing_id, case_id)
);

ALTER TABLE releases ADD COLUMN healing_id uuid REFERENCES healings (id);
CREATE INDEX runs_by_worker ON runs (worker_version, finished_at) WHERE outcome IS NOT NULL;
