-- Golden requests of the operator's own, beside those that selfheal comes with.

CREATE TABLE golden_requests (
    id         text        PRIMARY KEY,
    request    text        NOT NULL,
    examples   jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
