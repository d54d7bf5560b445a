-- columns: cron
id, tenant, key_id, assistant, thread_id, schedule, timezone, payload, metadata, on_run_completed,
enabled, end_time, next_run_at, created_at, updated_at

-- name: now
SELECT clock_timestamp() AS now;

-- name: lock_tenant
-- Serializes the transactions that add crons of a tenant, so that they can be counted.
SELECT pg_advisory_xact_lock(hashtextextended('crons of ' || %(tenant)s, 0));

-- name: put
INSERT INTO crons (id, tenant, key_id, assistant, thread_id, schedule, timezone, payload, metadata,
                   on_run_completed, enabled, end_time, next_run_at)
VALUES (%(id)s, %(tenant)s, %(key_id)s, %(assistant)s, %(thread_id)s, %(schedule)s, %(timezone)s,
        %(payload)s, %(metadata)s, %(on_run_completed)s, %(enabled)s, %(end_time)s, %(next_run_at)s)
ON CONFLICT (id) DO UPDATE SET
    key_id = excluded.key_id, schedule = excluded.schedule, timezone = excluded.timezone,
    payload = excluded.payload, metadata = excluded.metadata,
    on_run_completed = excluded.on_run_completed, enabled = excluded.enabled,
    end_time = excluded.end_time, next_run_at = excluded.next_run_at,
    updated_at = clock_timestamp()
RETURNING {cron};

-- name: get
SELECT {cron} FROM crons WHERE id = %(id)s AND tenant = %(tenant)s FOR UPDATE;

-- name: search
SELECT {cron} FROM crons
WHERE tenant = %(tenant)s AND metadata @> %(metadata)s
  AND (%(assistant)s::text IS NULL OR assistant = %(assistant)s)
  AND (%(thread_id)s::uuid IS NULL OR thread_id = %(thread_id)s)
  AND (%(enabled)s::boolean IS NULL OR enabled = %(enabled)s)
ORDER BY
    CASE WHEN %(ascending)s AND %(sort_by)s = 'cron_id' THEN id END,
    CASE WHEN %(ascending)s AND %(sort_by)s = 'assistant_id' THEN assistant END,
    CASE WHEN %(ascending)s AND %(sort_by)s = 'thread_id' THEN thread_id END,
    CASE WHEN %(ascending)s AND %(sort_by)s = 'created_at' THEN created_at END,
    CASE WHEN %(ascending)s AND %(sort_by)s = 'updated_at' THEN updated_at END,
    CASE WHEN %(ascending)s AND %(sort_by)s = 'next_run_date' THEN next_run_at END,
    CASE WHEN %(ascending)s AND %(sort_by)s = 'end_time' THEN end_time END,
    CASE WHEN NOT %(ascending)s AND %(sort_by)s = 'cron_id' THEN id END DESC,
    CASE WHEN NOT %(ascending)s AND %(sort_by)s = 'assistant_id' THEN assistant END DESC,
    CASE WHEN NOT %(ascending)s AND %(sort_by)s = 'thread_id' THEN thread_id END DESC,
    CASE WHEN NOT %(ascending)s AND %(sort_by)s = 'created_at' THEN created_at END DESC,
    CASE WHEN NOT %(ascending)s AND %(sort_by)s = 'updated_at' THEN updated_at END DESC,
    CASE WHEN NOT %(ascending)s AND %(sort_by)s = 'next_run_date' THEN next_run_at END DESC,
    CASE WHEN NOT %(ascending)s AND %(sort_by)s = 'end_time' THEN end_time END DESC,
    id
LIMIT %(limit)s OFFSET %(offset)s;

-- name: count
SELECT count(*) AS n FROM crons
WHERE tenant = %(tenant)s AND metadata @> %(metadata)s
  AND (%(assistant)s::text IS NULL OR assistant = %(assistant)s)
  AND (%(thread_id)s::uuid IS NULL OR thread_id = %(thread_id)s)
  AND (%(enabled)s::boolean IS NULL OR enabled = %(enabled)s);

-- name: delete
DELETE FROM crons WHERE id = %(id)s AND tenant = %(tenant)s RETURNING id;

-- name: due
-- Skip crons whose API key is revoked or expired.
SELECT {cron} FROM crons
WHERE enabled AND next_run_at <= clock_timestamp()
  AND (key_id IS NULL OR EXISTS (
      SELECT 1 FROM keys WHERE keys.id = crons.key_id AND keys.revoked_at IS NULL
        AND (keys.expires_at IS NULL OR keys.expires_at > clock_timestamp())))
ORDER BY next_run_at LIMIT %(limit)s;

-- name: advance
-- No effect if another process was first, or the cron was updated.
UPDATE crons SET next_run_at = %(next_run_at)s WHERE id = %(id)s AND next_run_at = %(was)s;
