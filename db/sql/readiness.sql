-- name: little_memory
SELECT set_config('work_mem', '64kB', true);

-- name: take_space
-- More than fits into memory, so that Postgres sorts it on disk. A full disk is not noticed otherwise
-- for long: rows are written to pages that still have room.
SELECT count(*) AS n FROM (
    SELECT repeat('x', 1000) || number FROM generate_series(1, 400) AS number
    ORDER BY (repeat('x', 1000) || number) COLLATE "C" DESC OFFSET 0) AS sorted;

-- name: write
-- A row of its own, since a frozen process would block writers of a shared one.
WITH forgotten AS (
    DELETE FROM readiness WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM readiness WHERE at < clock_timestamp() - interval '1 minute'
        FOR UPDATE SKIP LOCKED))
)
INSERT INTO readiness DEFAULT VALUES;
