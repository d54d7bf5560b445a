-- name: add
INSERT INTO judge_checks (model, prompt_version, asked, agreed, drifted)
VALUES (%(model)s, %(prompt_version)s, %(asked)s, %(agreed)s, %(drifted)s)
RETURNING *;

-- name: fresh
-- What was found of this very judge today, if it was well.
SELECT * FROM judge_checks
WHERE model = %(model)s AND prompt_version = %(prompt_version)s AND NOT drifted
  AND created_at > clock_timestamp() - interval '24 hours'
ORDER BY id DESC LIMIT 1;

-- name: sound
-- The newest checks at which the judge was well, whichever it was.
SELECT * FROM judge_checks WHERE NOT drifted ORDER BY id DESC LIMIT %(limit)s;

-- name: get
SELECT * FROM judge_checks WHERE id = %(id)s;
