-- columns: runs
runs.id, runs.thread_id, runs.assistant, runs.status, runs.outcome, runs.message, runs.request,
runs.examples, runs.plan, runs.code, runs.explanation, runs.manager_version, runs.worker_version,
runs.evaluator_version, runs.model, runs.model_calls, runs.input_tokens, runs.output_tokens,
runs.created_at, runs.finished_at, runs.tenant, runs.kwargs, runs.metadata, runs.multitask,
runs.attempt, runs.output, runs.idempotency_key, runs.body_sha256, runs.updated_at, runs.unusable

-- columns: feedback
feedback.id, feedback.run_id, feedback.score, feedback.comment, feedback.created_at

-- name: finish
-- Only a run that has not ended: a result is stored once.
UPDATE runs SET
    status = %(status)s, outcome = %(outcome)s, message = %(message)s,
    plan = %(plan)s, code = %(code)s, explanation = %(explanation)s,
    manager_version = %(manager_version)s, worker_version = %(worker_version)s,
    evaluator_version = %(evaluator_version)s, model = %(model)s,
    model_calls = %(model_calls)s, input_tokens = %(input_tokens)s,
    output_tokens = %(output_tokens)s, output = %(output)s, usage = %(usage)s,
    unusable = %(unusable)s,
    finished_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE id = %(id)s AND finished_at IS NULL;

-- name: evaluate
INSERT INTO evaluations (run_id, score, rule_score, llm_score, passed, checks, reasons, execution)
VALUES (%(run_id)s, %(score)s, %(rule_score)s, %(llm_score)s, %(passed)s, %(checks)s, %(reasons)s, %(execution)s);

-- name: get
SELECT {runs}, to_jsonb(evaluations) - 'run_id' AS evaluation
FROM runs LEFT JOIN evaluations ON run_id = id
WHERE id = %(id)s;

-- name: recent
-- Newest first, optionally a tenant's, of one outcome, before a moment for paging.
SELECT {runs}, to_jsonb(evaluations) - 'run_id' AS evaluation
FROM runs LEFT JOIN evaluations ON run_id = id
WHERE (%(tenant)s::text IS NULL OR tenant = %(tenant)s)
  AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
  AND (%(before)s::timestamptz IS NULL OR created_at < %(before)s)
ORDER BY created_at DESC, id LIMIT %(limit)s;

-- name: of_thread
SELECT {runs}, to_jsonb(evaluations) - 'run_id' AS evaluation
FROM runs LEFT JOIN evaluations ON run_id = id
WHERE thread_id = %(thread_id)s AND tenant = %(tenant)s
  AND (%(status)s::text IS NULL OR status = %(status)s)
ORDER BY created_at DESC, id LIMIT %(limit)s OFFSET %(offset)s;

-- name: live
SELECT id, runs.thread_id FROM runs JOIN claims ON claims.run_id = runs.id
WHERE tenant = %(tenant)s AND (%(status)s = 'all' OR status = %(status)s);

-- name: refs
SELECT id, thread_id FROM runs WHERE tenant = %(tenant)s AND id = ANY(%(ids)s);

-- name: lock_key
SELECT pg_advisory_xact_lock(hashtextextended(%(tenant)s || '/' || %(idempotency_key)s, 0));

-- name: by_key
SELECT {runs}, to_jsonb(evaluations) - 'run_id' AS evaluation
FROM runs LEFT JOIN evaluations ON run_id = id
WHERE tenant = %(tenant)s AND idempotency_key = %(idempotency_key)s;

-- name: delete
DELETE FROM runs WHERE id = %(id)s;

-- name: add_feedback
INSERT INTO feedback (run_id, score, comment) VALUES (%(run_id)s, %(score)s, %(comment)s)
RETURNING {feedback};

-- name: feedback
SELECT {feedback} FROM feedback WHERE run_id = %(run_id)s ORDER BY id;

-- name: countable
-- The newest runs that are evidence about the live versions: under all three of them, since the
-- newest release made them so.
SELECT id, outcome, finished_at FROM runs
WHERE assistant = 'agent' AND outcome IS NOT NULL AND outcome = ANY(%(countable)s)
  AND manager_version = %(manager)s
  AND (worker_version = %(worker)s OR worker_version IS NULL)
  AND (evaluator_version = %(evaluator)s OR evaluator_version IS NULL)
  AND finished_at > (SELECT max(created_at) FROM releases)
ORDER BY finished_at DESC LIMIT %(limit)s;

-- name: failed_since
-- Runs under all three live versions that a prompt may have caused to fail, oldest first.
SELECT {runs}, to_jsonb(evaluations) - 'run_id' AS evaluation
FROM runs LEFT JOIN evaluations ON run_id = id
WHERE assistant = 'agent' AND outcome IN ('failed', 'output')
  AND manager_version = %(manager)s
  AND (worker_version = %(worker)s OR worker_version IS NULL)
  AND (evaluator_version = %(evaluator)s OR evaluator_version IS NULL AND finished_at >
       (SELECT max(created_at) FROM releases WHERE agent = 'evaluator'))
  AND finished_at > %(since)s
ORDER BY finished_at, id LIMIT %(limit)s;

-- name: errors
-- Runs within the window that failed for a reason that no prompt can influence: their number, and
-- the newest one.
SELECT count(*) OVER () AS count, id AS run_id, outcome, message FROM runs
WHERE assistant = 'agent' AND outcome IN ('infrastructure', 'model', 'evaluation')
  AND finished_at > clock_timestamp() - make_interval(mins => %(minutes)s)
ORDER BY finished_at DESC LIMIT 1;

-- name: record
-- For each version of an agent's prompt, its verdicts and how many of them passed. Of the live version
-- only runs before the window, which are the baseline. Only verdicts of the live evaluator version,
-- and of the runs without a verdict only those since its release.
SELECT CASE %(agent)s WHEN 'worker' THEN worker_version WHEN 'manager' THEN manager_version
       ELSE evaluator_version END AS version,
       count(*) AS runs, count(*) FILTER (WHERE outcome = 'ok') AS passed
FROM runs WHERE assistant = 'agent' AND outcome IS NOT NULL AND outcome = ANY(%(countable)s)
  AND (CASE %(agent)s WHEN 'worker' THEN worker_version WHEN 'manager' THEN manager_version
       ELSE evaluator_version END <> %(version)s
       OR finished_at < clock_timestamp() - make_interval(mins => %(minutes)s))
  AND (evaluator_version = %(evaluator)s OR evaluator_version IS NULL AND finished_at >
       (SELECT max(created_at) FROM releases WHERE agent = 'evaluator'))
GROUP BY 1;

-- name: usual_tokens
-- The newest runs that passed under a version of an agent's prompt: their number, and the geometric
-- mean of the tokens of one call of that agent.
SELECT count(*) AS runs, exp(avg(ln(tokens))) AS tokens FROM (
    SELECT ((usage #>> ARRAY[%(agent)s, 'input_tokens'])::float
            + (usage #>> ARRAY[%(agent)s, 'output_tokens'])::float)
           / (usage #>> ARRAY[%(agent)s, 'calls'])::float AS tokens
    FROM runs WHERE assistant = 'agent' AND outcome = 'ok'
      AND CASE %(agent)s WHEN 'worker' THEN worker_version WHEN 'manager' THEN manager_version
          ELSE evaluator_version END = %(version)s
      AND (usage #>> ARRAY[%(agent)s, 'calls'])::float > 0
      AND (usage #>> ARRAY[%(agent)s, 'input_tokens'])::float > 0
    ORDER BY finished_at DESC LIMIT %(limit)s) AS newest;

-- name: marked
-- Runs with feedback that have a judge's score, newest feedback first.
SELECT feedback.run_id AS id, avg(feedback.score) AS mark
FROM feedback JOIN runs ON runs.id = feedback.run_id
JOIN evaluations ON evaluations.run_id = runs.id
WHERE assistant = 'agent' AND plan IS NOT NULL AND code IS NOT NULL AND llm_score IS NOT NULL
GROUP BY feedback.run_id ORDER BY max(feedback.id) DESC LIMIT %(limit)s;

-- name: of_ids
SELECT {runs}, to_jsonb(evaluations) - 'run_id' AS evaluation
FROM runs LEFT JOIN evaluations ON run_id = id
WHERE id = ANY(%(ids)s) ORDER BY created_at, id;
