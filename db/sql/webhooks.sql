-- name: add
INSERT INTO webhooks (run_id, url) VALUES (%(run_id)s, %(url)s);

-- name: take
-- Take what is due, so that nobody else does for a while: who dies over it is followed by another.
UPDATE webhooks SET attempts = attempts + 1,
    due_at = clock_timestamp() + make_interval(secs => %(patience)s)
WHERE id IN (SELECT id FROM webhooks WHERE due_at <= clock_timestamp()
             ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING id, run_id, url, attempts;

-- name: told
DELETE FROM webhooks WHERE id = %(id)s;

-- name: later
UPDATE webhooks SET due_at = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE id = %(id)s;
