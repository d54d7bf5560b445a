-- Crons: runs on a schedule.

CREATE TABLE crons (
    id               uuid        PRIMARY KEY,
    tenant           text        NOT NULL,
    key_id           text,                  -- the key that authorises its runs; null if created without keys
    assistant        text        NOT NULL,
    thread_id        uuid        REFERENCES threads (id) ON DELETE CASCADE,
    schedule         text        NOT NULL,
    timezone         text,
    payload          jsonb       NOT NULL,  -- the run, as a body of the wire
    metadata         jsonb       NOT NULL,
    on_run_completed text,
    enabled          boolean     NOT NULL,
    end_time         timestamptz,
    next_run_at      timestamptz,           -- null: it has ended
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX crons_by_tenant ON crons (tenant, created_at);
CREATE INDEX crons_by_thread ON crons (thread_id);
CREATE INDEX crons_due ON crons (next_run_at) WHERE enabled AND next_run_at IS NOT NULL;
