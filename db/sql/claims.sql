-- name: accept
-- A run that waits for a process, and its claim. Of two with the same key the second does nothing.
WITH accepted AS (
    INSERT INTO runs (id, thread_id, assistant, status, request, examples, tenant, kwargs,
                      metadata, multitask, idempotency_key, body_sha256)
    VALUES (%(id)s, %(thread_id)s, %(assistant)s, 'pending', %(request)s, %(examples)s,
            %(tenant)s, %(kwargs)s, %(metadata)s, %(multitask)s, %(idempotency_key)s,
            %(body_sha256)s)
    ON CONFLICT (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING id, thread_id
)
INSERT INTO claims (run_id, thread_id, due_at)
SELECT id, thread_id, clock_timestamp() + make_interval(secs => %(after_seconds)s) FROM accepted
RETURNING run_id, due_at,
    EXISTS (SELECT 1 FROM claims ahead WHERE ahead.thread_id = claims.thread_id) AS behind;

-- name: waiting
-- How many runs wait for a process, counted no further than the limit.
SELECT count(*) AS n FROM
    (SELECT 1 FROM claims WHERE token IS NULL AND due_at <= clock_timestamp()
     LIMIT %(limit)s) AS waiting;

-- name: claim
-- Take a run that nobody executes, or whose executor is believed dead. Runs of a thread come one
-- after another.
WITH taken AS (
    UPDATE claims SET token = gen_random_uuid(), runner = %(runner)s,
        lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
    WHERE run_id = %(id)s AND (token IS NULL OR lease_until < clock_timestamp())
      AND NOT EXISTS (SELECT 1 FROM claims ahead WHERE ahead.thread_id = claims.thread_id
                      AND ahead.position < claims.position)
    RETURNING run_id, token, cancel
)
UPDATE runs SET status = 'running', attempt = attempt + 1, updated_at = clock_timestamp()
FROM taken WHERE runs.id = taken.run_id
RETURNING runs.id, runs.thread_id, runs.tenant, runs.assistant, runs.kwargs, runs.metadata,
    runs.attempt, taken.token, taken.cancel,
    coalesce((SELECT max(seq) FROM run_events WHERE run_id = runs.id), 0) AS last_event;

-- name: renew
UPDATE claims SET lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE run_id = %(id)s AND token = %(token)s RETURNING cancel;

-- name: hold
SELECT hold_claim(%(id)s, %(token)s);

-- name: hand_back
-- Let somebody else go on at once.
UPDATE claims SET token = NULL, runner = NULL, lease_until = NULL, dispatched_at = clock_timestamp()
WHERE run_id = %(id)s AND token = %(token)s RETURNING run_id;

-- name: end
DELETE FROM claims WHERE run_id = %(id)s RETURNING thread_id;

-- name: next_of_thread
SELECT run_id, due_at FROM claims WHERE thread_id = %(thread_id)s ORDER BY position LIMIT 1;

-- name: live_of_thread
SELECT run_id FROM claims WHERE thread_id = %(thread_id)s ORDER BY position;

-- name: ask_to_cancel
UPDATE claims SET cancel = coalesce(cancel, %(action)s)
FROM runs WHERE run_id = %(id)s AND runs.id = run_id
RETURNING token IS NOT NULL OR runs.status <> 'pending' AS begun;

-- name: forsaken
-- Runs at the head of their threads that somebody must be sent to: the executor's lease ran out,
-- or they wait for so long that whoever was sent has probably died on the way.
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
