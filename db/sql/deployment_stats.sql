-- name: record_pass
INSERT INTO optimizer_outcomes (outcome, passes, last_at, reason)
VALUES (%(outcome)s, 1, clock_timestamp(), %(reason)s)
ON CONFLICT (outcome) DO UPDATE
SET passes = optimizer_outcomes.passes + 1, last_at = excluded.last_at, reason = excluded.reason;

-- name: last_pass
-- The newest pass of the optimizer.
SELECT outcome, reason, last_at AS ended_at FROM optimizer_outcomes ORDER BY last_at DESC LIMIT 1;

-- name: acquire_lead
-- Acquire or renew the lease.
INSERT INTO metrics_leader (holder, lease_until)
VALUES (%(holder)s, clock_timestamp() + make_interval(secs => %(lease)s))
ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
WHERE metrics_leader.holder = excluded.holder OR metrics_leader.lease_until < clock_timestamp()
RETURNING one;

-- name: passes
SELECT outcome, passes FROM optimizer_outcomes;

-- name: moments
-- The optimizer's last success; before the first one, the time of the first scrape.
SELECT extract(epoch FROM coalesce(
    (SELECT max(last_at) FROM optimizer_outcomes WHERE outcome <> 'error'),
    (SELECT first_at FROM metrics_leader)))::float8 AS last_success,
    coalesce((SELECT paused FROM pauses ORDER BY id DESC LIMIT 1), false) AS paused;

-- name: live
-- The live version of each agent, and the percentage of threads on its canary.
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
-- The newest check of the judge; whether a flag of that judge stands under the live prompt; and
-- whether the newest healing ended for that reason.
SELECT agreement, flagged AS drifted, flagged AND coalesce((
    SELECT outcome = 'frozen' FROM healings WHERE closed_at IS NOT NULL
    ORDER BY closed_at DESC LIMIT 1), false) AS frozen
FROM (
    SELECT agreed::float8 / asked AS agreement, EXISTS (
        SELECT 1 FROM judge_flags
        WHERE judge_flags.model = newest.model AND lifted_at IS NULL AND prompt_version = (
            SELECT coalesce(base_version, version) FROM releases WHERE agent = 'evaluator'
            ORDER BY id DESC LIMIT 1)) AS flagged
    FROM (SELECT model, agreed, asked FROM judge_checks ORDER BY id DESC LIMIT 1) AS newest
) AS judged;
