-- name: create
-- An id under which something is kept already is not given away: neither that of another tenant's
-- run without a thread, nor that of a healing, whose id is under its release for all to read.
INSERT INTO threads (id, tenant, metadata)
SELECT %(id)s, %(tenant)s, %(metadata)s
WHERE NOT EXISTS (SELECT 1 FROM runs WHERE thread_id = %(id)s AND tenant <> %(tenant)s)
  AND NOT EXISTS (SELECT 1 FROM healings WHERE id = %(id)s)
  AND NOT EXISTS (SELECT 1 FROM checkpoints WHERE thread_id = %(id)s::text)
ON CONFLICT (id) DO NOTHING RETURNING id;

-- name: lock
-- Those who add runs to a thread do it one after another.
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
-- Take back what a run wrote onto its thread; blobs that nobody names any more are left to pruning.
DELETE FROM checkpoint_writes USING checkpoints
WHERE checkpoint_writes.thread_id = %(id)s::text
  AND checkpoints.thread_id = checkpoint_writes.thread_id
  AND checkpoints.checkpoint_ns = checkpoint_writes.checkpoint_ns
  AND checkpoints.checkpoint_id = checkpoint_writes.checkpoint_id
  AND checkpoints.metadata ->> 'run_id' = %(run_id)s::text;

-- name: undo_checkpoints
DELETE FROM checkpoints WHERE thread_id = %(id)s::text AND metadata ->> 'run_id' = %(run_id)s::text;
