-- The queries of the dashboard Overview, and of the lines that all dashboards have.

-- name: latest
SELECT finished_at AS "Ended", outcome AS "Outcome", score AS "Score", rule_score AS "Rules",
       llm_score AS "Judge", seconds AS "Took", attempt AS "Attempt",
       manager_version AS "Manager", worker_version AS "Worker", evaluator_version AS "Evaluator",
       id AS "Run"
FROM grafana.runs WHERE $__timeFilter(finished_at) AND outcome <> 'ok'
ORDER BY finished_at DESC LIMIT 20

-- name: releases
SELECT created_at AS time,
       agent || ' ' || version || ': ' || action
           || CASE WHEN percent < 100 THEN ' to ' || percent || ' % of threads' ELSE '' END AS text,
       agent || ',' || action AS tags
FROM grafana.releases WHERE $__timeFilter(created_at) ORDER BY created_at
