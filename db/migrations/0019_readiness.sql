-- What processes write to see whether they can: a row each time, gone after a minute.

CREATE TABLE readiness (
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
