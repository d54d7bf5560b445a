-- The webhooks of ended runs: a row is written in the transaction that records the result.

CREATE TABLE outbox (
    run_id       uuid        PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    tenant       text        NOT NULL,
    status       text        NOT NULL DEFAULT 'waiting'
        CHECK (status IN ('waiting', 'delivered', 'dead')),
    values       jsonb,                 -- the graph's last state; deleted after delivery
    started_at   timestamptz,           -- when the run's last attempt began
    attempts     integer     NOT NULL DEFAULT 0,
    last_error   text        NOT NULL DEFAULT '',
    due_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    leased_until timestamptz,           -- the lease of the process that is sending it
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at     timestamptz,
    CHECK ((status = 'waiting') = (ended_at IS NULL))
);
CREATE INDEX outbox_waiting ON outbox (tenant, due_at) WHERE ended_at IS NULL;
CREATE INDEX outbox_leased ON outbox (tenant) WHERE ended_at IS NULL AND leased_until IS NOT NULL;
CREATE INDEX outbox_ended ON outbox (ended_at) WHERE ended_at IS NOT NULL;
