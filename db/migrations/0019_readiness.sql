-- Written by readiness checks, a row each, deleted after a minute.

CREATE TABLE readiness (
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
