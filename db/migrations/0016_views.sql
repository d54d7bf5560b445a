-- What Grafana's dashboards read: figures, versions and ids. No text of a request, a prompt, a
-- program or a person, and nothing of keys and tenants. Views read with their owner's rights, so
-- a role with access to this schema (grafana/role.sql) needs no right on any table. The tables are
-- found by the search path of the role that makes the views, as all other tables are.

-- Postgres checks the right to create schemas even where IF NOT EXISTS finds one: an operator whose
-- role lacks it creates the schema beforehand.
DO $$
BEGIN
    IF to_regnamespace('grafana') IS NULL THEN
        CREATE SCHEMA grafana;
    END IF;
END $$;

CREATE VIEW grafana.runs AS
SELECT id, created_at, finished_at,
       extract(epoch FROM finished_at - created_at)::float8 AS seconds,
       status, outcome AS error_class, attempt, model, manager_version, worker_version,
       evaluator_version, model_calls, input_tokens, output_tokens,
       score, rule_score, llm_score, passed
FROM runs LEFT JOIN evaluations ON run_id = id
WHERE assistant = 'agent' AND outcome IS NOT NULL;

-- A row for each agent and run with a verdict. An unusable answer scores 0, as in db/sql/version_stats.sql.
CREATE VIEW grafana.scores AS
SELECT finished_at, agent, version, coalesce(score, 0) AS score, (outcome = 'ok')::int AS passed
FROM runs LEFT JOIN evaluations ON run_id = id
CROSS JOIN LATERAL (VALUES ('manager', manager_version), ('worker', worker_version),
                           ('evaluator', evaluator_version)) AS versions (agent, version)
WHERE assistant = 'agent' AND outcome IN ('ok', 'failed', 'output') AND version IS NOT NULL;

-- `replaced`: the version that this one took over from. For a canary that is promoted or rolled
-- back it is the other version.
CREATE VIEW grafana.releases AS
SELECT came.id, came.created_at, came.agent, came.action, came.version, came.base_version,
       came.percent, came.pinned, came.healing_id,
       CASE came.action WHEN 'promote' THEN earlier.base_version ELSE earlier.version END AS replaced
FROM releases AS came
LEFT JOIN releases AS earlier ON earlier.id = came.previous_release_id;

-- The 200 verdicts next to a release on each side, within a day: under the version that was
-- replaced before it, under the new one after it.
CREATE VIEW grafana.effects AS
SELECT id, created_at, agent, action, version, replaced, healing_id,
       before.runs AS runs_before, before.passed AS passed_before, before.score AS score_before,
       later.runs AS runs_after, later.passed AS passed_after, later.score AS score_after
FROM grafana.releases
CROSS JOIN LATERAL (
    SELECT count(*) AS runs, avg(passed)::float8 AS passed, avg(score)::float8 AS score
    FROM (SELECT passed, score FROM grafana.scores
          WHERE scores.agent = releases.agent AND scores.version = replaced
            AND finished_at BETWEEN releases.created_at - interval '1 day' AND releases.created_at
          ORDER BY finished_at DESC LIMIT 200) AS nearest) AS before
CROSS JOIN LATERAL (
    SELECT count(*) AS runs, avg(passed)::float8 AS passed, avg(score)::float8 AS score
    FROM (SELECT passed, score FROM grafana.scores
          WHERE scores.agent = releases.agent AND scores.version = releases.version
            AND finished_at BETWEEN releases.created_at AND releases.created_at + interval '1 day'
          ORDER BY finished_at LIMIT 200) AS nearest) AS later;

-- The gate's trials: results of the incumbent, and of the last candidate that reached the gate.
CREATE VIEW grafana.healings AS
SELECT id, agent, trigger, state, outcome, errored, incumbent_version, to_version, opened_at,
       closed_at, extract(epoch FROM coalesce(closed_at, now()) - opened_at)::float8 AS seconds,
       calls_used, input_tokens, output_tokens, gate.incumbent AS incumbent_passed,
       gate.candidate AS candidate_passed
FROM healings
CROSS JOIN LATERAL (
    SELECT avg(passed::int) FILTER (WHERE arm = 0)::float8 AS incumbent,
           avg(passed::int) FILTER (WHERE arm > 0 AND arm = last)::float8 AS candidate
    FROM (SELECT arm, passed, max(arm) OVER () AS last FROM trials
          WHERE healing_id = healings.id AND stage = 'gate' AND take = 0) AS tried) AS gate;

CREATE VIEW grafana.payments AS
SELECT payments.created_at, healing_id, agent, payments.state, calls, payments.input_tokens,
       payments.output_tokens
FROM payments JOIN healings ON healings.id = healing_id;

-- Events to annotate graphs with, whatever caused them.
CREATE VIEW grafana.incidents AS
SELECT opened_at AS at, 'healing began' AS what, agent, incumbent_version AS version,
       id AS healing_id
FROM healings
UNION ALL
SELECT closed_at, 'healing broke off', agent, incumbent_version, id
FROM healings WHERE errored
UNION ALL
SELECT closed_at, 'a person must decide', agent, to_version, id
FROM healings WHERE outcome = 'needs_approval'
UNION ALL
SELECT closed_at, 'healing frozen', agent, incumbent_version, id
FROM healings WHERE outcome = 'frozen'
UNION ALL
SELECT created_at, CASE action WHEN 'rollback' THEN 'rolled back by hand'
                               ELSE 'rolled back by itself' END, agent, version, healing_id
FROM releases WHERE action IN ('rollback', 'take_back')
UNION ALL
SELECT created_at, CASE WHEN paused THEN 'healing paused' ELSE 'healing resumed' END,
       NULL, NULL, NULL
FROM pauses
UNION ALL
SELECT created_at, 'judge drifted', 'evaluator', prompt_version, NULL
FROM judge_checks WHERE drifted;
