-- Prompts, their releases, and the log of runs.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TABLE prompts (
    agent      text        NOT NULL CHECK (agent IN ('manager', 'worker', 'evaluator')),
    version    integer     NOT NULL CHECK (version >= 1),
    text       text        NOT NULL CHECK (text <> ''),
    parent     integer,
    author     text        NOT NULL,
    note       text        NOT NULL DEFAULT '',
    sha256     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (agent, version),
    FOREIGN KEY (agent, parent) REFERENCES prompts (agent, version)
);

CREATE TRIGGER prompts_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON prompts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A release names the one it follows. The unique constraint is the compare-and-swap:
-- of two releases that follow the same one, the second is refused.
CREATE TABLE releases (
    id                  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    agent               text        NOT NULL,
    previous_release_id bigint      REFERENCES releases (id),
    action              text        NOT NULL CHECK (action IN ('seed', 'activate', 'rollback', 'heal')),
    version             integer     NOT NULL,
    actor               text        NOT NULL,
    note                text        NOT NULL DEFAULT '',
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (agent, previous_release_id),
    FOREIGN KEY (agent, version) REFERENCES prompts (agent, version)
);
CREATE UNIQUE INDEX releases_one_first ON releases (agent) WHERE previous_release_id IS NULL;
CREATE INDEX releases_head ON releases (agent, id DESC);

CREATE TRIGGER releases_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON releases
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE runs (
    id                uuid        PRIMARY KEY,
    thread_id         uuid        NOT NULL,
    assistant         text        NOT NULL,
    status            text        NOT NULL CHECK (status IN ('running', 'success', 'error', 'interrupted')),
    outcome           text        CHECK (outcome IN ('ok', 'failed', 'output', 'infrastructure', 'model', 'evaluation', 'request')),
    message           text        NOT NULL DEFAULT '',
    request           text        NOT NULL,
    examples          jsonb       NOT NULL DEFAULT '[]',
    plan              jsonb,
    code              text,
    explanation       text,
    manager_version   integer,
    worker_version    integer,
    evaluator_version integer,
    model             text,
    model_calls       integer     NOT NULL DEFAULT 0,
    input_tokens      integer     NOT NULL DEFAULT 0,
    output_tokens     integer     NOT NULL DEFAULT 0,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at       timestamptz,
    CHECK ((status = 'running') = (finished_at IS NULL)),
    CHECK ((status IN ('success', 'error')) = (outcome IS NOT NULL))
);
-- The log is written in time order and read by time: BRIN stays small however long it grows.
CREATE INDEX runs_created ON runs USING brin (created_at);
CREATE INDEX runs_recent ON runs (created_at DESC, id);
-- The failure window of detection: only what can call for a new prompt.
CREATE INDEX runs_failures ON runs (finished_at) WHERE outcome IN ('failed', 'output');

CREATE TABLE evaluations (
    run_id     uuid             PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    score      double precision NOT NULL CHECK (score BETWEEN 0 AND 1),
    rule_score double precision NOT NULL CHECK (rule_score BETWEEN 0 AND 1),
    llm_score  double precision CHECK (llm_score BETWEEN 0 AND 1),
    passed     boolean          NOT NULL,
    checks     jsonb            NOT NULL,
    reasons    jsonb            NOT NULL,
    execution  jsonb            NOT NULL
);

CREATE TABLE feedback (
    id         bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id     uuid             NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    score      double precision NOT NULL CHECK (score BETWEEN 0 AND 1),
    comment    text             NOT NULL DEFAULT '',
    created_at timestamptz      NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX feedback_run ON feedback (run_id);
