-- name: add
-- Before the result is stored: `updated_at` is still the moment when the run was claimed.
INSERT INTO outbox (run_id, tenant, values, started_at)
SELECT id, tenant, %(values)s, CASE WHEN attempt > 0 THEN updated_at END
FROM runs WHERE id = %(run_id)s AND kwargs ->> 'webhook' IS NOT NULL;

-- name: claim
-- What is due and not leased. No tenant has more than its share in flight, and the order of tenants is
-- random, so that one with slow receivers does not delay the others.
WITH tenants AS MATERIALIZED (
    SELECT DISTINCT tenant FROM outbox WHERE ended_at IS NULL
), due AS MATERIALIZED (
    SELECT found.run_id FROM tenants CROSS JOIN LATERAL (
        SELECT run_id FROM outbox
        WHERE outbox.tenant = tenants.tenant AND ended_at IS NULL AND due_at <= clock_timestamp()
          AND (leased_until IS NULL OR leased_until < clock_timestamp())
        ORDER BY due_at
        LIMIT greatest(0, %(share)s - (SELECT count(*) FROM outbox AS held
            WHERE held.tenant = tenants.tenant AND held.ended_at IS NULL
              AND held.leased_until >= clock_timestamp()))
        FOR UPDATE SKIP LOCKED
    ) AS found
    ORDER BY random() LIMIT %(limit)s
)
UPDATE outbox SET attempts = attempts + 1,
    leased_until = clock_timestamp() + make_interval(secs => %(lease)s)
FROM due, runs WHERE outbox.run_id = due.run_id AND runs.id = due.run_id
RETURNING outbox.run_id, outbox.attempts AS attempt, outbox.values, outbox.started_at,
    runs.kwargs ->> 'webhook' AS url;

-- name: settle
-- Only by the process of this attempt: one whose lease expired does not overwrite a later attempt.
UPDATE outbox SET status = %(status)s, last_error = %(error)s, leased_until = NULL,
    due_at = clock_timestamp() + make_interval(secs => %(after)s),
    ended_at = CASE WHEN %(status)s <> 'waiting' THEN clock_timestamp() END,
    values = CASE WHEN %(status)s <> 'delivered' THEN values END
WHERE run_id = %(run_id)s AND attempts = %(attempt)s AND ended_at IS NULL;

-- name: prune
DELETE FROM outbox WHERE run_id IN (
    SELECT run_id FROM outbox WHERE ended_at < %(before)s ORDER BY ended_at LIMIT %(limit)s);
