-- The queries of the dashboard Healing, over the views of db/migrations/0016_views.sql.

-- name: at_work
SELECT coalesce((SELECT agent || ': ' || state FROM grafana.healings WHERE closed_at IS NULL),
                'nothing') AS state

-- name: waiting
SELECT count(*) AS waiting FROM grafana.healings WHERE outcome = 'needs_approval'

-- name: time_to_heal
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds
FROM grafana.healings WHERE $__timeFilter(closed_at) AND outcome IN ('canary', 'promoted')

-- name: rolled_back
SELECT count(*) AS releases FROM grafana.releases
WHERE $__timeFilter(created_at) AND action IN ('rollback', 'take_back')

-- name: cost
-- Nothing without prices: 0, or an empty field.
SELECT sum((input_tokens * nullif(nullif('${price_input}', '')::float8, 0)
            + output_tokens * nullif(nullif('${price_output}', '')::float8, 0)) / 1e6) AS cost
FROM grafana.payments WHERE $__timeFilter(created_at)

-- name: healings
SELECT opened_at AS "Opened", agent AS "Agent", trigger AS "Asked by", nullif(state, 'end') AS "State",
       coalesce(outcome, 'open') AS "Outcome", incumbent_version AS "From", to_version AS "To",
       incumbent_passed AS "Gate: before", candidate_passed AS "Gate: after", calls_used AS "Calls",
       input_tokens + output_tokens AS "Tokens",
       (input_tokens * nullif(nullif('${price_input}', '')::float8, 0)
            + output_tokens * nullif(nullif('${price_output}', '')::float8, 0)) / 1e6 AS "Cost",
       seconds AS "Took", id AS "Healing"
FROM grafana.healings
WHERE opened_at <= $__timeTo() AND (closed_at IS NULL OR closed_at >= $__timeFrom())
ORDER BY opened_at DESC LIMIT 50

-- name: effects
SELECT created_at AS "Released", agent AS "Agent", action AS "Action", replaced AS "From",
       version AS "To", passed_before AS "Passed: before", passed_after AS "Passed: after",
       score_before AS "Score: before", score_after AS "Score: after",
       runs_before || ' / ' || runs_after AS "Runs", healing_id AS "Healing"
FROM grafana.effects WHERE $__timeFilter(created_at) AND action <> 'seed'
ORDER BY created_at DESC LIMIT 20

-- name: effects_chart
SELECT agent || ' ' || version || ': ' || action AS "Release",
       passed_before AS before, passed_after AS after
FROM (SELECT created_at, agent, action, version, passed_before, passed_after FROM grafana.effects
      WHERE $__timeFilter(created_at) AND action <> 'seed' AND runs_before + runs_after > 0
      ORDER BY created_at DESC LIMIT 8) AS latest
ORDER BY created_at

-- name: scores_by_version
SELECT $__timeGroupAlias(finished_at, $__interval), 'version ' || version AS metric,
       avg(score) AS value
FROM grafana.scores WHERE $__timeFilter(finished_at) AND agent = '${agent}'
GROUP BY 1, 2 ORDER BY 1

-- name: runs_by_version
SELECT $__timeGroupAlias(finished_at, $__interval), 'version ' || version AS metric,
       count(*) AS value
FROM grafana.scores WHERE $__timeFilter(finished_at) AND agent = '${agent}'
GROUP BY 1, 2 ORDER BY 1

-- name: releases
SELECT $__timeGroupAlias(created_at, $__interval), action AS metric, count(*) AS value
FROM grafana.releases WHERE $__timeFilter(created_at) AND action <> 'seed'
GROUP BY 1, 2 ORDER BY 1

-- name: by_state
SELECT $__timeGroupAlias(created_at, $__interval), state AS metric, sum(calls) AS value
FROM grafana.payments WHERE $__timeFilter(created_at) GROUP BY 1, 2 ORDER BY 1

-- name: tokens
SELECT $__timeGroupAlias(created_at, $__interval), direction AS metric, sum(tokens) AS value
FROM grafana.payments
CROSS JOIN LATERAL (VALUES ('input', input_tokens), ('output', output_tokens))
    AS counted (direction, tokens)
WHERE $__timeFilter(created_at) GROUP BY 1, 2 ORDER BY 1

-- name: times_to_heal
SELECT closed_at AS time, outcome AS metric, seconds AS value
FROM grafana.healings WHERE $__timeFilter(closed_at) ORDER BY closed_at

-- name: incidents
SELECT at AS "When", what AS "What", agent AS "Agent", version AS "Version", healing_id AS "Healing"
FROM grafana.incidents WHERE $__timeFilter(at) ORDER BY at DESC LIMIT 50
