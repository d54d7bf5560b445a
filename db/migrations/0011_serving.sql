-- Threads, claims of unfinished runs, streamed events, API keys.

CREATE TABLE threads (
    id         uuid        PRIMARY KEY,
    tenant     text        NOT NULL,
    metadata   jsonb       NOT NULL DEFAULT '{}',
    -- As its last run left it. Whether a thread is busy is read from its claims, so it is never stale.
    settled    text        NOT NULL DEFAULT 'idle' CHECK (settled IN ('idle', 'interrupted', 'error')),
    values     jsonb,
    error      jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX threads_of_tenant ON threads (tenant, created_at DESC);
CREATE INDEX threads_metadata ON threads USING gin (metadata jsonb_path_ops);

ALTER TABLE runs
    DROP CONSTRAINT runs_status_check,
    DROP CONSTRAINT runs_check,
    DROP CONSTRAINT runs_check1,
    ADD COLUMN tenant          text    NOT NULL DEFAULT 'local',
    ADD COLUMN kwargs          jsonb   NOT NULL DEFAULT '{}',
    ADD COLUMN metadata        jsonb   NOT NULL DEFAULT '{}',
    ADD COLUMN multitask       text    NOT NULL DEFAULT 'enqueue'
        CHECK (multitask IN ('reject', 'interrupt', 'rollback', 'enqueue')),
    ADD COLUMN attempt         integer NOT NULL DEFAULT 0,
    ADD COLUMN output          jsonb,
    ADD COLUMN idempotency_key text,
    ADD COLUMN body_sha256     text,
    ADD COLUMN updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD CONSTRAINT runs_status CHECK
        (status IN ('pending', 'running', 'success', 'error', 'timeout', 'interrupted')),
    ADD CONSTRAINT runs_ended CHECK ((status IN ('pending', 'running')) = (finished_at IS NULL)),
    ADD CONSTRAINT runs_classed CHECK
        ((status IN ('success', 'error', 'timeout')) = (outcome IS NOT NULL));
CREATE UNIQUE INDEX runs_idempotent ON runs (tenant, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX runs_of_thread ON runs (thread_id, created_at DESC);
CREATE INDEX runs_of_tenant ON runs (tenant, created_at DESC, id);

-- A row for each run that has not ended: which process executes it, and until when its lease holds.
-- Small and hot beside the log, which is large and cold.
CREATE TABLE claims (
    run_id        uuid        PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    thread_id     uuid        NOT NULL,
    position      bigint      GENERATED ALWAYS AS IDENTITY,
    token         uuid,
    runner        text,
    lease_until   timestamptz,
    due_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    dispatched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    cancel        text        CHECK (cancel IN ('interrupt', 'rollback'))
);
CREATE INDEX claims_of_thread ON claims (thread_id, position);

-- Every write of a run's executor calls this in its transaction. The lock keeps the claim from
-- being taken over until that transaction has ended.
CREATE FUNCTION hold_claim(run uuid, holder uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM claims WHERE run_id = run AND token = holder FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'run % was claimed by another process', run USING ERRCODE = 'SH001';
    END IF;
END $$;

-- The streamed events of a run, verbatim, so that a client that reconnects gets the rest.
CREATE TABLE run_events (
    run_id uuid   NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq    bigint NOT NULL,
    event  text   NOT NULL,
    data   text   NOT NULL,
    PRIMARY KEY (run_id, seq)
);

-- Only a key's hash is kept.
CREATE TABLE keys (
    id         text        PRIMARY KEY,
    tenant     text        NOT NULL,
    name       text        NOT NULL DEFAULT '',
    sha256     text        NOT NULL UNIQUE,
    scopes     text[]      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz
);
