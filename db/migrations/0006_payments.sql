-- The cost of each state of a healing, so that the sum on its receipt can be verified.

CREATE TABLE payments (
    id            bigserial   PRIMARY KEY,
    healing_id    uuid        NOT NULL REFERENCES healings (id) ON DELETE CASCADE,
    state         text        NOT NULL,
    calls         integer     NOT NULL,
    input_tokens  integer     NOT NULL,
    output_tokens integer     NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX payments_by_healing ON payments (healing_id);
