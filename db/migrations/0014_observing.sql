-- The outcomes of optimizer runs, stored so that a CronJob can report them, and which process exposes them.

CREATE TABLE optimizer_outcomes (
    outcome text        PRIMARY KEY,
    passes  bigint      NOT NULL,
    last_at timestamptz NOT NULL
);

-- The process that exposes the deployment's metrics: only one, or sums would count them twice.
CREATE TABLE metrics_leader (
    one         boolean     PRIMARY KEY DEFAULT true CHECK (one),
    first_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    holder      uuid        NOT NULL,
    lease_until timestamptz NOT NULL
);
