-- name: newest_runs
-- The results of a version's newest runs in a period: scores from 0 to 1, an unusable answer counts
-- as 0. Errors are runs without a verdict for a reason that no prompt causes. Tokens are those of the
-- agent's own calls in passing runs. Verdicts under another evaluator's prompt are not comparable and
-- are omitted.
WITH newest AS (
    SELECT outcome, coalesce(score, 0) AS score,
           extract(epoch FROM finished_at - runs.created_at)::float8 AS seconds,
           CASE WHEN outcome = 'ok' THEN nullif(
               (usage -> %(agent)s ->> 'input_tokens')::bigint
               + (usage -> %(agent)s ->> 'output_tokens')::bigint, 0) END AS tokens
    FROM runs LEFT JOIN evaluations ON run_id = runs.id
    WHERE assistant = 'agent' AND outcome IS NOT NULL AND outcome <> 'request'
      AND CASE %(agent)s WHEN 'worker' THEN worker_version WHEN 'manager' THEN manager_version
          ELSE evaluator_version END = %(version)s
      AND coalesce(evaluator_version, %(judge)s) = %(judge)s
      AND (%(since)s::timestamptz IS NULL OR runs.created_at >= %(since)s)
      AND (%(until)s::timestamptz IS NULL OR runs.created_at < %(until)s)
    ORDER BY runs.created_at DESC LIMIT %(limit)s
)
SELECT count(*) FILTER (WHERE outcome IN ('ok', 'failed', 'output')) AS runs,
       coalesce(avg(score) FILTER (WHERE outcome IN ('ok', 'failed', 'output')), 0)::float8 AS mean,
       coalesce(var_pop(score) FILTER (WHERE outcome IN ('ok', 'failed', 'output')), 0)::float8
           AS variance,
       count(*) FILTER (WHERE outcome NOT IN ('ok', 'failed', 'output')) AS errors,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) AS p95_seconds,
       count(tokens) AS priced, exp(avg(ln(tokens)))::float8 AS tokens
FROM newest;

-- name: newest_answers
-- Whether an agent's newest answers under a version could be used. A call that failed gave none.
WITH answered AS (
    SELECT runs.created_at, unusable IS NOT DISTINCT FROM %(agent)s AS spoilt
    FROM runs LEFT JOIN evaluations ON run_id = runs.id
    WHERE assistant = 'agent' AND outcome IS NOT NULL
      AND CASE %(agent)s WHEN 'worker' THEN worker_version WHEN 'manager' THEN manager_version
          ELSE evaluator_version END = %(version)s
      AND (unusable IS NOT DISTINCT FROM %(agent)s OR CASE %(agent)s
          WHEN 'worker' THEN code IS NOT NULL WHEN 'manager' THEN plan IS NOT NULL
          ELSE llm_score IS NOT NULL END)
      AND (%(since)s::timestamptz IS NULL OR runs.created_at >= %(since)s)
      AND (%(until)s::timestamptz IS NULL OR runs.created_at < %(until)s)
    ORDER BY runs.created_at DESC LIMIT %(limit)s
)
SELECT count(*) AS answers, count(*) FILTER (WHERE spoilt) AS unusable,
       count(*) FILTER (WHERE created_at < coalesce(
           (SELECT min(created_at) FROM answered WHERE spoilt), 'infinity')) AS usable_first
FROM answered;

-- name: automatic_rollbacks
-- Automatic rollbacks within a day and since healing was last resumed.
SELECT count(*) AS n FROM releases
WHERE action = 'take_back' AND created_at > clock_timestamp() - interval '24 hours'
  AND created_at > coalesce((SELECT max(created_at) FROM pauses WHERE NOT paused), '-infinity');

-- name: canaries
-- The current canaries: of each agent whose newest release is one, its version and the base version.
SELECT agent, version, base_version FROM (
    SELECT DISTINCT ON (agent) agent, version, base_version FROM releases ORDER BY agent, id DESC
) AS heads WHERE base_version IS NOT NULL;
