-- Some hours of a deployment: worker 1 goes bad, is healed by 2 (canary, promoted), 3 takes itself
-- back. Whatever a stranger or a person wrote contains STRANGER.

INSERT INTO prompts (agent, version, text, parent, author, note, sha256)
SELECT 'worker', n, 'STRANGER prompt ' || n, n - 1, 'STRANGER', 'STRANGER', md5('STRANGER' || n)
FROM generate_series(2, 3) AS n;

INSERT INTO healings (id, agent, trigger, state, outcome, reason, incumbent_version, to_version,
                      holder, lease_until, calls_reserved, calls_used, input_tokens, output_tokens,
                      receipt, opened_at, closed_at, errored)
SELECT md5(h.n::text)::uuid, h.agent, 'failures', h.state, h.outcome,
       '{"code": "note", "values": {"text": "STRANGER"}}', 1, h.to_version,
       gen_random_uuid(), now(), 0, 120, 90000, 30000, '{"evidence": "STRANGER"}',
       now() - h.began * interval '1 minute', now() - h.ended * interval '1 minute', h.errored
FROM (VALUES (1, 'worker', 'end', 'promoted', 2, 185, 180, false),
             (2, 'worker', 'end', 'canary', 3, 82, 75, false),
             (3, 'manager', 'end', 'needs_approval', 2, 50, 47, false),
             (4, 'worker', 'end', 'rejected', NULL, 40, 36, true),
             (5, 'worker', 'gate', NULL, NULL, 3, NULL, false))
     AS h (n, agent, state, outcome, to_version, began, ended, errored);

INSERT INTO candidates (healing_id, ordinal, round, origin, text, rationale)
SELECT id, 1, 1, 'writer', 'STRANGER', 'STRANGER' FROM healings;

INSERT INTO trials (healing_id, stage, arm, case_id, outcome, passed, score, executed, calls)
SELECT id, 'gate', arm, 'case ' || n, 'ok', CASE arm WHEN 0 THEN n % 5 = 0 ELSE n % 12 > 0 END,
       0.5, true, 2
FROM healings, generate_series(0, 1) AS arm, generate_series(1, 30) AS n WHERE agent = 'worker';

INSERT INTO payments (healing_id, state, calls, input_tokens, output_tokens, created_at)
SELECT id, state.name, state.calls, state.calls * 750, state.calls * 250,
       opened_at + state.place * interval '40 seconds'
FROM healings, (VALUES ('diagnose', 2, 1), ('propose', 4, 2), ('screen', 18, 3), ('gate', 96, 5))
               AS state (name, calls, place);

INSERT INTO releases (agent, previous_release_id, action, version, actor, note, healing_id,
                      base_version, percent, created_at)
SELECT 'worker', NULL, 'seed', 1, 'STRANGER', 'STRANGER', NULL, NULL, 100, now() - interval '9 h'
WHERE NOT EXISTS (SELECT FROM releases WHERE agent = 'worker');

DO $$
DECLARE step record;
BEGIN
    FOR step IN SELECT * FROM (VALUES
        ('canary', 2, 1, 50, 180), ('promote', 2, NULL, 100, 150), ('canary', 3, 2, 50, 75),
        ('take_back', 2, NULL, 100, 60)) AS s (action, version, base, percent, ago)
    LOOP
        INSERT INTO releases (agent, previous_release_id, action, version, actor, note, healing_id,
                              base_version, percent, created_at)
        SELECT 'worker', max(id), step.action, step.version, 'STRANGER', 'STRANGER',
               md5((CASE WHEN step.ago > 100 THEN 1 ELSE 2 END)::text)::uuid, step.base,
               step.percent, now() - step.ago * interval '1 minute'
        FROM releases WHERE agent = 'worker';
    END LOOP;
END $$;

-- A run every 20 seconds for five hours; of two during a canary, one has the newer version.
INSERT INTO runs (id, thread_id, assistant, status, outcome, message, request, code, explanation,
                  plan, manager_version, worker_version, evaluator_version, model, model_calls,
                  input_tokens, output_tokens, tenant, metadata, output, idempotency_key,
                  created_at, finished_at)
SELECT gen_random_uuid(), gen_random_uuid(), 'agent',
       CASE WHEN luck % 50 = 7 THEN 'error' ELSE 'success' END,
       CASE WHEN luck % 50 = 7 THEN 'infrastructure' WHEN luck < odds THEN 'failed' ELSE 'ok' END,
       'STRANGER', 'STRANGER', 'STRANGER', 'STRANGER', '{"title": "STRANGER"}', 1, version, 1,
       'google_genai:gemini', 3, 1500, 500, 'STRANGER', '{"of": "STRANGER"}', '{"of": "STRANGER"}',
       'STRANGER ' || n, at, at + interval '4 seconds'
FROM (SELECT n, at, luck, version, CASE version WHEN 1 THEN 75 WHEN 2 THEN 8 ELSE 55 END AS odds
      FROM (SELECT n, at, (n * 7919) % 100 AS luck,
                   CASE WHEN ago > 180 THEN 1 WHEN ago > 150 THEN 1 + n % 2
                        WHEN ago <= 75 AND ago > 60 THEN 2 + n % 2 ELSE 2 END AS version
            FROM (SELECT n, n / 3.0 AS ago, now() - n * interval '20 seconds' AS at
                  FROM generate_series(1, 900) AS n) AS moments) AS versions) AS chances;

INSERT INTO evaluations (run_id, score, rule_score, llm_score, passed, checks, reasons, execution)
SELECT id, CASE outcome WHEN 'ok' THEN 0.9 ELSE 0.35 END, 0.8, CASE outcome WHEN 'ok' THEN 0.95 ELSE 0.05 END,
       outcome = 'ok', '["STRANGER"]', '["STRANGER"]', '{"of": "STRANGER"}'
FROM runs WHERE outcome IN ('ok', 'failed');

INSERT INTO feedback (run_id, score, comment)
SELECT id, 1, 'STRANGER' FROM runs WHERE outcome = 'ok' LIMIT 5;

INSERT INTO pauses (paused, reason, actor, created_at)
VALUES (true, '{"code": "note", "values": {"text": "STRANGER"}}', 'STRANGER',
        now() - interval '20 minutes'),
       (false, '{"code": "note", "values": {"text": "STRANGER"}}', 'STRANGER', now() - interval '10 minutes');

INSERT INTO judge_checks (model, prompt_version, asked, agreed, drifted, created_at)
VALUES ('google_genai:gemini', 1, 40, 24, true, now() - interval '100 minutes');

INSERT INTO judge_flags (model, prompt_version, check_id, usual_agreed, usual_asked, raised_at,
                         lifted_at, lifted_by, reason)
SELECT model, prompt_version, id, 380, 400, created_at, created_at + interval '10 minutes',
       'STRANGER', '{"code": "note", "values": {"text": "STRANGER"}}'
FROM judge_checks;
