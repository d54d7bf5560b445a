-- name: note_pass
INSERT INTO optimizer_outcomes (outcome, passes, last_at, reason)
VALUES (%(outcome)s, 1, clock_timestamp(), %(reason)s)
ON CONFLICT (outcome) DO UPDATE
SET passes = optimizer_outcomes.passes + 1, last_at = excluded.last_at, reason = excluded.reason;

-- name: last_pass
-- The last optimizer run.
SELECT outcome, reason, last_at AS ended_at FROM optimizer_outcomes ORDER BY last_at DESC LIMIT 1;

-- name: lead
-- Become or stay the process that exposes the figures.
INSERT INTO metrics_leader (holder, lease_until)
VALUES (%(holder)s, clock_timestamp() + make_interval(secs => %(lease)s))
ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
WHERE metrics_leader.holder = excluded.holder OR metrics_leader.lease_until < clock_timestamp()
RETURNING one;

-- name: passes
SELECT outcome, passes FROM optimizer_outcomes;

-- name: moments
-- The optimizer's last success; before the first, the time of the first query.
SELECT extract(epoch FROM coalesce(
    (SELECT max(last_at) FROM optimizer_outcomes WHERE outcome <> 'error'),
    (SELECT first_at FROM metrics_leader)))::float8 AS last_success,
    coalesce((SELECT paused FROM pauses ORDER BY id DESC LIMIT 1), false) AS paused;

-- name: live
-- The live versions of each agent and their percentage of threads; a canary has two.
SELECT DISTINCT ON (agent) agent, coalesce(base_version, version) AS version,
    CASE WHEN base_version IS NULL THEN 0 ELSE percent END AS canary_percent
FROM releases ORDER BY agent, id DESC;

-- name: healings
SELECT agent, outcome, count(*)::int AS healings FROM healings
WHERE outcome IS NOT NULL AND agent IS NOT NULL GROUP BY agent, outcome;

-- name: releases
SELECT agent, action, count(*)::int AS releases FROM releases GROUP BY agent, action;

-- name: queue
SELECT count(*)::int AS depth,
    coalesce(extract(epoch FROM clock_timestamp() - min(due_at)), 0)::float8 AS oldest
FROM claims WHERE token IS NULL AND due_at <= clock_timestamp();

-- name: judge
-- The newest check of the judge.
SELECT agreed::float8 / asked AS agreement, drifted FROM judge_checks ORDER BY id DESC LIMIT 1;

-- name: frozen
-- Whether healing is suspended: the judge had drifted, and no check without drift has followed.
SELECT EXISTS (
    SELECT 1 FROM (SELECT outcome, closed_at FROM healings WHERE closed_at IS NOT NULL
                   ORDER BY closed_at DESC LIMIT 1) AS newest
    WHERE outcome = 'frozen' AND NOT EXISTS (
        SELECT 1 FROM judge_checks WHERE NOT drifted AND created_at > newest.closed_at)) AS frozen;
