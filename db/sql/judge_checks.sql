-- columns: judge_checks
judge_checks.id, judge_checks.model, judge_checks.prompt_version, judge_checks.asked,
judge_checks.agreed, judge_checks.drifted, judge_checks.created_at

-- name: add
INSERT INTO judge_checks (model, prompt_version, asked, agreed, drifted)
VALUES (%(model)s, %(prompt_version)s, %(asked)s, %(agreed)s, %(drifted)s)
RETURNING {judge_checks};

-- name: fresh
-- Today's newest check of this model and prompt, if it found no drift.
SELECT {judge_checks} FROM (
    SELECT {judge_checks} FROM judge_checks
    WHERE model = %(model)s AND prompt_version = %(prompt_version)s
      AND created_at > clock_timestamp() - interval '24 hours'
    ORDER BY id DESC LIMIT 1) judge_checks
WHERE NOT drifted;

-- name: take_turn
-- The key admits one process an hour; a turn taken late in the hour before still counts.
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

-- name: sound
-- The newest checks without drift, of any judge.
SELECT {judge_checks} FROM judge_checks WHERE NOT drifted ORDER BY id DESC LIMIT %(limit)s;

-- name: get
SELECT {judge_checks} FROM judge_checks WHERE id = %(id)s;
