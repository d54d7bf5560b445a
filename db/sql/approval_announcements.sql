-- name: enqueue
-- A healing may have been closed by a process that has no channel: a process that has one announces it. What
-- has waited for longer than a week was announced, or is older than the setting.
INSERT INTO approval_announcements (healing_id, channel)
SELECT id, channel FROM healings CROSS JOIN unnest(%(channels)s::text[]) AS channel
WHERE outcome = 'needs_approval' AND closed_at > clock_timestamp() - interval '7 days'
ON CONFLICT DO NOTHING;

-- name: claim
-- What was approved or rejected meanwhile is not announced any more.
WITH due AS MATERIALIZED (
    SELECT announced.healing_id, announced.channel
    FROM approval_announcements AS announced JOIN healings ON healings.id = announced.healing_id
    WHERE announced.ended_at IS NULL AND announced.due_at <= clock_timestamp()
      AND announced.channel = ANY(%(channels)s) AND healings.outcome = 'needs_approval'
    ORDER BY announced.due_at LIMIT %(limit)s
    FOR UPDATE OF announced SKIP LOCKED
)
UPDATE approval_announcements AS announced SET attempts = attempts + 1,
    due_at = clock_timestamp() + make_interval(secs => %(lease)s)
FROM due WHERE announced.healing_id = due.healing_id AND announced.channel = due.channel
RETURNING announced.healing_id, announced.channel, announced.attempts AS attempt;

-- name: settle
-- Only by the process of this attempt: one whose lease expired does not overwrite a later attempt.
UPDATE approval_announcements SET last_error = %(error)s,
    due_at = clock_timestamp() + make_interval(secs => %(after)s),
    ended_at = CASE WHEN %(ended)s THEN clock_timestamp() END
WHERE healing_id = %(healing_id)s AND channel = %(channel)s AND attempts = %(attempt)s
  AND ended_at IS NULL;
