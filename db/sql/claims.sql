-- name: enqueue
-- A run that waits for a process, and its claim. Of two with the same key the second does nothing.
WITH queued AS (
    INSERT INTO runs (id, thread_id, assistant, status, request, examples, tenant, kwargs,
                      metadata, multitask, idempotency_key, body_sha256)
    VALUES (%(id)s, %(thread_id)s, %(assistant)s, 'pending', %(request)s, %(examples)s,
            %(tenant)s, %(kwargs)s, %(metadata)s, %(multitask)s, %(idempotency_key)s,
            %(body_sha256)s)
    ON CONFLICT (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING id, thread_id
)
INSERT INTO claims (run_id, thread_id, due_at)
SELECT id, thread_id, clock_timestamp() + make_interval(secs => %(after_seconds)s) FROM queued
RETURNING run_id, due_at,
    EXISTS (SELECT 1 FROM claims ahead WHERE ahead.thread_id = claims.thread_id) AS behind;

-- name: waiting
-- How many runs wait for a process, counted no further than the limit.
SELECT count(*) AS n FROM
    (SELECT 1 FROM claims WHERE token IS NULL AND due_at <= clock_timestamp()
     LIMIT %(limit)s) AS waiting;

-- name: claim
-- Claim a run that waits, or whose executor's lease has expired. The runs of a thread are executed
-- in order, one at a time.
WITH claimed AS (
    UPDATE claims SET token = gen_random_uuid(), runner = %(runner)s,
        lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
    WHERE run_id = %(id)s AND (token IS NULL OR lease_until < clock_timestamp())
      AND NOT EXISTS (SELECT 1 FROM claims ahead WHERE ahead.thread_id = claims.thread_id
                      AND ahead.position < claims.position)
    RETURNING run_id, token, cancel
)
UPDATE runs SET status = 'running', attempt = attempt + 1, updated_at = clock_timestamp()
FROM claimed WHERE runs.id = claimed.run_id
RETURNING runs.id, runs.thread_id, runs.tenant, runs.assistant, runs.kwargs AS options,
    runs.metadata, runs.attempt, claimed.token, claimed.cancel;

-- name: renew
UPDATE claims SET lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE run_id = %(id)s AND token = %(token)s RETURNING cancel;

-- name: hold
SELECT hold_claim(%(id)s, %(token)s);

-- name: hand_back
-- Let another process claim the run at once.
UPDATE claims SET token = NULL, runner = NULL, lease_until = NULL, dispatched_at = clock_timestamp()
WHERE run_id = %(id)s AND token = %(token)s RETURNING run_id;

-- name: release
DELETE FROM claims WHERE run_id = %(id)s RETURNING thread_id;

-- name: next_of_thread
SELECT run_id, due_at FROM claims WHERE thread_id = %(thread_id)s ORDER BY position LIMIT 1;

-- name: live_of_thread
SELECT run_id FROM claims WHERE thread_id = %(thread_id)s ORDER BY position;

-- name: request_cancel
UPDATE claims SET cancel = coalesce(cancel, %(action)s)
FROM runs WHERE run_id = %(id)s AND runs.id = run_id
RETURNING token IS NOT NULL OR runs.status <> 'pending' AS begun;

-- name: take_unattended
-- Runs at the head of their threads whose executor's lease has expired, or which have waited for so
-- long that their job was probably lost.
UPDATE claims SET dispatched_at = clock_timestamp()
WHERE run_id IN (
    SELECT run_id FROM claims
    WHERE (lease_until < clock_timestamp() AND (dispatched_at < lease_until
              OR dispatched_at < clock_timestamp() - make_interval(secs => %(lease)s))
           OR token IS NULL AND due_at < clock_timestamp()
              AND dispatched_at < clock_timestamp() - make_interval(secs => %(lease)s))
      AND NOT EXISTS (SELECT 1 FROM claims ahead WHERE ahead.thread_id = claims.thread_id
                      AND ahead.position < claims.position)
    ORDER BY position LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING run_id, token IS NOT NULL AS was_running;
