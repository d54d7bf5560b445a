-- columns: judge_checks
judge_checks.id, judge_checks.model, judge_checks.prompt_version, judge_checks.asked,
judge_checks.agreed, judge_checks.drifted, judge_checks.complete, judge_checks.created_at

-- columns: judge_flags
judge_flags.id, judge_flags.model, judge_flags.prompt_version, judge_flags.check_id,
judge_flags.usual_agreed, judge_flags.usual_asked, judge_flags.raised_at, judge_flags.lifted_at,
judge_flags.lifted_by, judge_flags.reason, judge_flags.anchor_after

-- name: add
INSERT INTO judge_checks (model, prompt_version, asked, agreed, drifted, complete)
VALUES (%(model)s, %(prompt_version)s, %(asked)s, %(agreed)s, %(drifted)s, %(complete)s)
RETURNING {judge_checks};

-- name: count
SELECT count(*) FROM judge_checks WHERE model = %(model)s AND prompt_version = %(prompt_version)s;

-- name: recent
-- The newest check of this judge within 24 hours, if it was passed.
SELECT {judge_checks} FROM (
    SELECT {judge_checks} FROM judge_checks
    WHERE model = %(model)s AND prompt_version = %(prompt_version)s
      AND created_at > clock_timestamp() - interval '24 hours'
    ORDER BY id DESC LIMIT 1) judge_checks
WHERE NOT drifted;

-- name: claim_check
-- The primary key admits one process an hour. A claim of the last 10 minutes, made in the hour
-- before, is still being worked on.
INSERT INTO judge_turns (model, prompt_version, slot, calls)
SELECT %(model)s, %(prompt_version)s, floor(extract(epoch FROM clock_timestamp()) / 3600), %(calls)s
WHERE NOT EXISTS (
    SELECT 1 FROM judge_checks
    WHERE model = %(model)s AND prompt_version = %(prompt_version)s
      AND created_at > clock_timestamp() - interval '24 hours')
  AND NOT EXISTS (
    SELECT 1 FROM judge_turns
    WHERE model = %(model)s AND prompt_version = %(prompt_version)s
      AND taken_at > clock_timestamp() - interval '10 minutes')
  AND (SELECT coalesce(sum(calls_reserved), 0) FROM healings
       WHERE opened_at > clock_timestamp() - interval '24 hours')
      + (SELECT coalesce(sum(calls), 0) FROM judge_turns
         WHERE taken_at > clock_timestamp() - interval '24 hours')
      + %(calls)s <= %(daily)s
ON CONFLICT DO NOTHING
RETURNING model, prompt_version, slot;

-- name: settle
UPDATE judge_turns SET calls = %(calls)s
WHERE model = %(model)s AND prompt_version = %(prompt_version)s AND slot = %(slot)s;

-- name: anchor
-- The first sound checks of a judge, since an operator last accepted it as it then was.
SELECT {judge_checks} FROM judge_checks
WHERE model = %(model)s AND prompt_version = %(prompt_version)s AND NOT drifted
  AND id > coalesce((SELECT max(anchor_after) FROM judge_flags
                     WHERE model = %(model)s AND prompt_version = %(prompt_version)s), 0)
ORDER BY id LIMIT %(limit)s;

-- name: earlier_version
-- The newest other prompt under which this model passed a check, and whether it has a flag now. None
-- if an operator accepted this judge as it is: then nothing else is its reference.
SELECT prompt_version, EXISTS (
    SELECT 1 FROM judge_flags WHERE judge_flags.model = %(model)s AND lifted_at IS NULL
      AND judge_flags.prompt_version = judge_checks.prompt_version) AS flagged
FROM judge_checks
WHERE model = %(model)s AND prompt_version <> %(prompt_version)s AND NOT drifted
  AND NOT EXISTS (
    SELECT 1 FROM judge_flags WHERE judge_flags.model = %(model)s
      AND judge_flags.prompt_version = %(prompt_version)s AND anchor_after IS NOT NULL)
ORDER BY id DESC LIMIT 1;

-- name: of_ids
SELECT {judge_checks} FROM judge_checks WHERE id = ANY(%(ids)s) ORDER BY id;

-- name: complete_since
-- The checks of all golden verdicts after a check, newest first.
SELECT {judge_checks} FROM judge_checks
WHERE model = %(model)s AND prompt_version = %(prompt_version)s AND complete AND id > %(after)s
ORDER BY id DESC;

-- name: standing_flag
SELECT {judge_flags} FROM judge_flags
WHERE model = %(model)s AND prompt_version = %(prompt_version)s AND lifted_at IS NULL;

-- name: flag
SELECT {judge_flags} FROM judge_flags WHERE id = %(id)s;

-- name: raise_flag
INSERT INTO judge_flags (model, prompt_version, check_id, usual_agreed, usual_asked)
VALUES (%(model)s, %(prompt_version)s, %(check_id)s, %(usual_agreed)s, %(usual_asked)s)
RETURNING {judge_flags};

-- name: lift_flag
-- An operator's acceptance starts a new anchor; after a recovery the anchor stays.
UPDATE judge_flags
SET lifted_at = clock_timestamp(), lifted_by = %(actor)s, reason = %(reason)s,
    anchor_after = CASE WHEN %(accepted)s THEN (SELECT max(id) FROM judge_checks) END
WHERE model = %(model)s AND prompt_version = %(prompt_version)s AND lifted_at IS NULL
RETURNING {judge_flags};

-- name: now
SELECT clock_timestamp();

-- name: lock
-- Results of one judge are assessed one after another.
SELECT pg_advisory_xact_lock(hashtextextended('judge ' || %(model)s::text || ' ' || %(prompt_version)s::text, 0));

-- name: get
SELECT {judge_checks} FROM judge_checks WHERE id = %(id)s;
