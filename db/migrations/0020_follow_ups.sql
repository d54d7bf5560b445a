-- What happened to a healing after it was closed: a row for each step, with actor and time.
-- `healings.outcome` is that of the last step; `healings.reason` and the receipt keep what was decided.

CREATE TABLE healing_follow_ups (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    healing_id uuid        NOT NULL REFERENCES healings (id) ON DELETE CASCADE,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    outcome    text        NOT NULL CHECK (outcome IN ('rejected', 'canary', 'promoted')),
    reason     text        NOT NULL,
    actor      text        NOT NULL
);
CREATE INDEX healing_follow_ups_of ON healing_follow_ups (healing_id, id);

-- Steps used to be appended to the reason, which did not keep who took them or when.
WITH appended AS (
    SELECT id, outcome, closed_at, receipt ->> 'reason' AS decided,
           substr(reason, length((receipt ->> 'reason') || '; then ') + 1) AS later
    FROM healings WHERE starts_with(reason, (receipt ->> 'reason') || '; then ')),
moved AS (
    INSERT INTO healing_follow_ups (healing_id, at, outcome, reason, actor)
    SELECT id, coalesce((SELECT max(created_at) FROM releases WHERE healing_id = appended.id),
                        closed_at),
           outcome, later, 'unknown'
    FROM appended WHERE outcome IN ('rejected', 'canary', 'promoted'))
UPDATE healings SET reason = appended.decided FROM appended WHERE healings.id = appended.id;

-- A run's outcome has one name everywhere: in the log, in traces, in metrics and here. The right to
-- read the view comes with the default privileges of grafana/role.sql.
DROP VIEW grafana.runs;
CREATE VIEW grafana.runs AS
SELECT id, created_at, finished_at,
       extract(epoch FROM finished_at - created_at)::float8 AS seconds,
       status, outcome, attempt, model, manager_version, worker_version,
       evaluator_version, model_calls, input_tokens, output_tokens,
       score, rule_score, llm_score, passed
FROM runs LEFT JOIN evaluations ON run_id = id
WHERE assistant = 'agent' AND outcome IS NOT NULL;
