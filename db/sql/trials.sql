-- columns: candidates
candidates.healing_id, candidates.ordinal, candidates.round, candidates.origin, candidates.text,
candidates.rationale

-- columns: trials
trials.healing_id, trials.stage, trials.arm, trials.case_id, trials.outcome, trials.passed,
trials.score, trials.executed, trials.calls, trials.created_at, trials.take, trials.tokens

-- name: looks
-- In how many earlier healings the gate used a case.
SELECT case_id, count(DISTINCT healing_id) AS looks FROM trials
WHERE stage = 'gate' AND arm > 0 AND healing_id <> %(id)s AND case_id = ANY(%(cases)s)
GROUP BY case_id;

-- name: add_candidate
-- A round that is repeated after a kill replaces its candidates.
INSERT INTO candidates (healing_id, ordinal, round, origin, text, rationale)
VALUES (%(healing_id)s, %(ordinal)s, %(round)s, %(origin)s, %(text)s, %(rationale)s)
ON CONFLICT (healing_id, ordinal) DO UPDATE SET round = excluded.round, origin = excluded.origin,
    text = excluded.text, rationale = excluded.rationale;

-- name: candidates
SELECT {candidates} FROM candidates WHERE healing_id = %(healing_id)s ORDER BY ordinal;

-- name: add_trial
INSERT INTO trials (healing_id, stage, arm, case_id, take, outcome, passed, score, executed, calls,
                    tokens)
VALUES (%(healing_id)s, %(stage)s, %(arm)s, %(case_id)s, %(take)s, %(outcome)s, %(passed)s,
        %(score)s, %(executed)s, %(calls)s, %(tokens)s)
ON CONFLICT (healing_id, stage, arm, case_id, take) DO UPDATE SET stage = trials.stage  -- the first stays
RETURNING {trials};

-- name: copy_gate
-- Their calls were paid by the healing that made them.
INSERT INTO trials (healing_id, stage, arm, case_id, take, outcome, passed, score, executed, calls)
SELECT %(healing_id)s, 'gate', CASE arm WHEN 0 THEN 0 ELSE %(to)s END, case_id, take, outcome,
    passed, score, executed, 0
FROM trials WHERE healing_id = %(from)s AND stage = 'gate' AND arm IN (0, %(arm)s) AND take = 0
  AND case_id = ANY(%(cases)s)
ON CONFLICT DO NOTHING;

-- name: trials
SELECT {trials} FROM trials WHERE healing_id = %(healing_id)s ORDER BY created_at, arm, case_id, take;

-- name: add_plan
INSERT INTO plans (healing_id, case_id, plan) VALUES (%(healing_id)s, %(case_id)s, %(plan)s)
ON CONFLICT DO NOTHING;

-- name: plans
SELECT case_id, plan FROM plans WHERE healing_id = %(healing_id)s;

-- name: add_golden_plan
INSERT INTO golden_plans (key, manager_version, model, plan)
VALUES (%(key)s, %(manager_version)s, %(model)s, %(plan)s)
ON CONFLICT (key) DO UPDATE SET manager_version = excluded.manager_version,
    model = excluded.model, plan = excluded.plan;

-- name: golden_plans
SELECT key, plan FROM golden_plans
WHERE manager_version = %(manager_version)s AND model = %(model)s;
