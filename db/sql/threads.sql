-- name: create
-- An id that is in use already is refused: that of another tenant's run without a thread, and that
-- of a healing, which every caller can read in the release log.
INSERT INTO threads (id, tenant, metadata)
SELECT %(id)s, %(tenant)s, %(metadata)s
WHERE NOT EXISTS (SELECT 1 FROM runs WHERE thread_id = %(id)s AND tenant <> %(tenant)s)
  AND NOT EXISTS (SELECT 1 FROM healings WHERE id = %(id)s)
  AND NOT EXISTS (SELECT 1 FROM checkpoints WHERE thread_id = %(id)s::text)
ON CONFLICT (id) DO NOTHING RETURNING id;

-- name: lock
-- Serializes the transactions that add runs to a thread.
SELECT id FROM threads WHERE id = %(id)s AND tenant = %(tenant)s FOR UPDATE;

-- name: get
SELECT id, tenant, metadata, values, error, created_at, updated_at,
    CASE WHEN EXISTS (SELECT 1 FROM claims WHERE thread_id = threads.id) THEN 'busy'
         ELSE settled END AS status
FROM threads WHERE id = %(id)s AND tenant = %(tenant)s;

-- name: search
SELECT * FROM (
    SELECT id, tenant, metadata, values, error, created_at, updated_at,
        CASE WHEN EXISTS (SELECT 1 FROM claims WHERE thread_id = threads.id) THEN 'busy'
             ELSE settled END AS status
    FROM threads
    WHERE tenant = %(tenant)s AND metadata @> %(metadata)s
      AND (%(values)s::jsonb IS NULL OR values @> %(values)s)
      AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s))
) AS seen
WHERE (%(status)s::text IS NULL OR status = %(status)s)
ORDER BY
    CASE WHEN %(ascending)s AND %(sort_by)s = 'created_at' THEN created_at END,
    CASE WHEN %(ascending)s AND %(sort_by)s = 'updated_at' THEN updated_at END,
    CASE WHEN %(ascending)s AND %(sort_by)s = 'thread_id' THEN id END,
    CASE WHEN %(ascending)s AND %(sort_by)s = 'status' THEN status END,
    CASE WHEN NOT %(ascending)s AND %(sort_by)s = 'created_at' THEN created_at END DESC,
    CASE WHEN NOT %(ascending)s AND %(sort_by)s = 'updated_at' THEN updated_at END DESC,
    CASE WHEN NOT %(ascending)s AND %(sort_by)s = 'thread_id' THEN id END DESC,
    CASE WHEN NOT %(ascending)s AND %(sort_by)s = 'status' THEN status END DESC,
    id
LIMIT %(limit)s OFFSET %(offset)s;

-- name: count
SELECT count(*) AS n FROM threads
WHERE tenant = %(tenant)s AND metadata @> %(metadata)s
  AND (%(values)s::jsonb IS NULL OR values @> %(values)s)
  AND (%(status)s::text IS NULL OR %(status)s =
       CASE WHEN EXISTS (SELECT 1 FROM claims WHERE thread_id = threads.id) THEN 'busy'
            ELSE settled END);

-- name: annotate
UPDATE threads SET metadata = metadata || %(metadata)s, updated_at = clock_timestamp()
WHERE id = %(id)s AND tenant = %(tenant)s RETURNING id;

-- name: settle
UPDATE threads SET settled = %(settled)s, values = coalesce(%(values)s, values),
    error = %(error)s, updated_at = clock_timestamp()
WHERE id = %(id)s;

-- name: copy
INSERT INTO threads (id, tenant, metadata, settled, values, error)
SELECT %(copy)s, tenant, metadata, settled, values, error
FROM threads WHERE id = %(id)s AND tenant = %(tenant)s RETURNING id;

-- name: copy_checkpoints
INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type,
                         checkpoint, metadata)
SELECT %(copy)s::text, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata
FROM checkpoints WHERE thread_id = %(id)s::text;

-- name: copy_blobs
INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
SELECT %(copy)s::text, checkpoint_ns, channel, version, type, blob
FROM checkpoint_blobs WHERE thread_id = %(id)s::text;

-- name: copy_writes
INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel,
                               type, blob, task_path)
SELECT %(copy)s::text, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path
FROM checkpoint_writes WHERE thread_id = %(id)s::text;

-- name: delete
DELETE FROM threads WHERE id = %(id)s AND tenant = %(tenant)s RETURNING id;

-- name: delete_runs
DELETE FROM runs WHERE thread_id = %(id)s AND tenant = %(tenant)s;

-- name: delete_checkpoints
DELETE FROM checkpoints WHERE thread_id = ANY(%(ids)s::text[]);

-- name: delete_blobs
DELETE FROM checkpoint_blobs WHERE thread_id = ANY(%(ids)s::text[]);

-- name: delete_writes
DELETE FROM checkpoint_writes WHERE thread_id = ANY(%(ids)s::text[]);

-- name: undo_writes
-- Delete what a run wrote to its thread; blobs without references are left to retention.
DELETE FROM checkpoint_writes USING checkpoints
WHERE checkpoint_writes.thread_id = %(id)s::text
  AND checkpoints.thread_id = checkpoint_writes.thread_id
  AND checkpoints.checkpoint_ns = checkpoint_writes.checkpoint_ns
  AND checkpoints.checkpoint_id = checkpoint_writes.checkpoint_id
  AND checkpoints.metadata ->> 'run_id' = %(run_id)s::text;

-- name: undo_checkpoints
DELETE FROM checkpoints WHERE thread_id = %(id)s::text AND metadata ->> 'run_id' = %(run_id)s::text;

-- name: written_channels
-- The state keys whose version changed since before the thread's current input was written. That is
-- the input of the run, or, for a run that continues the thread, the newest input.
WITH of_thread AS (
    SELECT checkpoint_id, parent_checkpoint_id, metadata, checkpoint -> 'channel_versions' AS versions
    FROM checkpoints WHERE thread_id = %(id)s::text AND checkpoint_ns = ''
), start AS (
    SELECT parent_checkpoint_id FROM of_thread
    WHERE CASE WHEN %(has_input)s THEN metadata ->> 'run_id' = %(run_id)s::text
               ELSE metadata ->> 'source' IN ('input', 'update') END
    ORDER BY CASE WHEN %(has_input)s THEN checkpoint_id END,
             CASE WHEN NOT %(has_input)s THEN checkpoint_id END DESC
    LIMIT 1
), head AS (
    SELECT versions FROM of_thread ORDER BY checkpoint_id DESC LIMIT 1
)
SELECT key FROM head CROSS JOIN LATERAL jsonb_each_text(versions) AS channel (key, version)
WHERE version IS DISTINCT FROM (
    SELECT before.versions ->> key FROM of_thread AS before
    WHERE before.checkpoint_id = (SELECT parent_checkpoint_id FROM start));
