-- name: take_turn
WITH forgotten AS (DELETE FROM prunings WHERE began_at < clock_timestamp() - interval '7 days')
INSERT INTO prunings (slot) SELECT floor(extract(epoch FROM clock_timestamp()) / 3600)
ON CONFLICT DO NOTHING RETURNING slot;

-- name: moment
SELECT clock_timestamp() - make_interval(days => %(days)s) AS before;

-- name: events
-- The events of ended runs.
DELETE FROM run_events WHERE run_id IN (
    SELECT DISTINCT run_id FROM run_events JOIN runs ON runs.id = run_id
    WHERE finished_at < %(before)s LIMIT %(limit)s);

-- name: runs
-- With their evaluations and events. Runs with feedback are kept: judges are measured by them.
DELETE FROM runs WHERE id IN (
    SELECT id FROM runs WHERE created_at < %(before)s AND finished_at < %(before)s
      AND NOT EXISTS (SELECT 1 FROM feedback WHERE feedback.run_id = runs.id)
    ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED);

-- name: threads
-- Idle threads with more than one state. Locked, as they are while a run is submitted to them.
SELECT id::text AS id FROM threads
WHERE updated_at < %(before)s
  AND NOT EXISTS (SELECT 1 FROM claims WHERE claims.thread_id = threads.id)
  AND EXISTS (SELECT 1 FROM checkpoints WHERE checkpoints.thread_id = threads.id::text OFFSET 1)
LIMIT %(limit)s FOR UPDATE SKIP LOCKED;

-- name: healings
-- Closed healings that still have states, which their receipts make unnecessary.
SELECT id::text AS id FROM healings
WHERE closed_at < %(before)s
  AND EXISTS (SELECT 1 FROM checkpoints WHERE checkpoints.thread_id = healings.id::text)
LIMIT %(limit)s FOR UPDATE SKIP LOCKED;

-- name: older_states
DELETE FROM checkpoints old WHERE thread_id = ANY(%(ids)s) AND EXISTS (
    SELECT 1 FROM checkpoints newer
    WHERE (newer.thread_id, newer.checkpoint_ns) = (old.thread_id, old.checkpoint_ns)
      AND newer.checkpoint_id > old.checkpoint_id);

-- name: all_states
DELETE FROM checkpoints WHERE thread_id = ANY(%(ids)s);

-- name: stray_writes
DELETE FROM checkpoint_writes stray WHERE thread_id = ANY(%(ids)s) AND NOT EXISTS (
    SELECT 1 FROM checkpoints kept
    WHERE (kept.thread_id, kept.checkpoint_ns, kept.checkpoint_id)
        = (stray.thread_id, stray.checkpoint_ns, stray.checkpoint_id));

-- name: stray_blobs
DELETE FROM checkpoint_blobs stray WHERE thread_id = ANY(%(ids)s) AND NOT EXISTS (
    SELECT 1 FROM checkpoints kept
    WHERE (kept.thread_id, kept.checkpoint_ns) = (stray.thread_id, stray.checkpoint_ns)
      AND kept.checkpoint -> 'channel_versions' ->> stray.channel = stray.version);

-- name: used
-- The size of a tenant's rows, compressed as they are stored. A value that is stored outside of its
-- row is not read for its size.
SELECT (
    (SELECT coalesce(sum(pg_column_size(metadata) + coalesce(pg_column_size(values), 0)), 0)
     FROM threads WHERE tenant = %(tenant)s)
  + (SELECT coalesce(sum(pg_column_size(request) + pg_column_size(examples) + pg_column_size(kwargs)
        + pg_column_size(metadata) + coalesce(pg_column_size(plan), 0)
        + coalesce(pg_column_size(code), 0) + coalesce(pg_column_size(explanation), 0)
        + coalesce(pg_column_size(output), 0)), 0)
     FROM runs WHERE tenant = %(tenant)s)
  + (SELECT coalesce(sum(pg_column_size(checks) + pg_column_size(reasons)
        + pg_column_size(execution)), 0)
     FROM evaluations JOIN runs ON runs.id = run_id WHERE tenant = %(tenant)s)
  + (SELECT coalesce(sum(pg_column_size(data)), 0)
     FROM run_events JOIN runs ON runs.id = run_id WHERE tenant = %(tenant)s)
  + (SELECT coalesce(sum(pg_column_size(comment)), 0)
     FROM feedback JOIN runs ON runs.id = run_id WHERE tenant = %(tenant)s)
  + (SELECT coalesce(sum(coalesce(pg_column_size(values), 0)), 0)
     FROM outbox WHERE tenant = %(tenant)s)
  + (SELECT coalesce(sum(pg_column_size(payload) + pg_column_size(metadata)), 0)
     FROM crons WHERE tenant = %(tenant)s)
  + (SELECT coalesce(sum(pg_column_size(checkpoint) + pg_column_size(checkpoints.metadata)), 0)
     FROM threads JOIN checkpoints ON thread_id = id::text WHERE tenant = %(tenant)s)
  + (SELECT coalesce(sum(coalesce(pg_column_size(blob), 0)), 0)
     FROM threads JOIN checkpoint_blobs ON thread_id = id::text WHERE tenant = %(tenant)s)
  + (SELECT coalesce(sum(pg_column_size(blob)), 0)
     FROM threads JOIN checkpoint_writes ON thread_id = id::text WHERE tenant = %(tenant)s)
)::bigint AS bytes;
