-- One process of all prunes within an hour.

CREATE TABLE prunings (
    slot     bigint      PRIMARY KEY,  -- the hour since 1970
    began_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
