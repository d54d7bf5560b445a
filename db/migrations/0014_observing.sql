-- What passes of the optimizer came to, kept where a CronJob can leave it; and who tells it.

CREATE TABLE optimizer_outcomes (
    outcome text        PRIMARY KEY,
    passes  bigint      NOT NULL,
    last_at timestamptz NOT NULL
);

-- The process that exposes what is the whole deployment's: one, or sums would count it twice.
CREATE TABLE metrics_leader (
    one         boolean     PRIMARY KEY DEFAULT true CHECK (one),
    first_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    holder      uuid        NOT NULL,
    lease_until timestamptz NOT NULL
);
