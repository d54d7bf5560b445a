-- columns: healings
healings.id, healings.agent, healings.trigger, healings.state, healings.outcome, healings.reason,
healings.errored, healings.incumbent_version, healings.to_version, healings.holder,
healings.lease_until, healings.calls_reserved, healings.calls_used, healings.input_tokens,
healings.output_tokens, healings.receipt, healings.opened_at, healings.closed_at,
(SELECT coalesce(jsonb_agg(jsonb_build_object('at', step.at, 'outcome', step.outcome,
                                              'reason', step.reason, 'actor', step.actor)
                           ORDER BY step.id), '[]')
 FROM healing_follow_ups AS step WHERE step.healing_id = healings.id) AS follow_ups

-- name: open
-- The partial unique index refuses a second open healing.
INSERT INTO healings (id, agent, trigger, state, incumbent_version, holder, lease_until)
VALUES (%(id)s, %(agent)s, %(trigger)s, 'triage', %(incumbent_version)s, %(holder)s,
        clock_timestamp() + make_interval(secs => %(lease)s))
ON CONFLICT DO NOTHING
RETURNING {healings};

-- name: abandoned
-- Take over the open healing whose holder no longer renews its lease.
UPDATE healings SET holder = %(holder)s,
    lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE closed_at IS NULL AND lease_until < clock_timestamp()
RETURNING {healings};

-- name: open_one
SELECT {healings} FROM healings WHERE closed_at IS NULL;

-- name: renew
UPDATE healings SET lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE id = %(id)s AND holder = %(holder)s AND closed_at IS NULL;

-- name: hold
-- Lock the row for this transaction, provided that the healing is still ours.
SELECT 1 FROM healings WHERE id = %(id)s AND holder = %(holder)s AND closed_at IS NULL FOR UPDATE;

-- name: enter
UPDATE healings SET state = %(state)s WHERE id = %(id)s AND holder = %(holder)s;

-- name: blame
UPDATE healings SET agent = %(agent)s, incumbent_version = %(version)s
WHERE id = %(id)s AND holder = %(holder)s AND closed_at IS NULL;

-- name: reserve
-- Calls are reserved before they are made: never more than a healing's and a day's allowance.
-- Of two at once the second sees its own row as the first left it, but not so the rows of a
-- subquery: hence this healing's calls stand outside it.
UPDATE healings SET calls_reserved = calls_reserved + %(calls)s
WHERE id = %(id)s AND holder = %(holder)s AND closed_at IS NULL
  AND calls_reserved + %(calls)s <= %(budget)s
  AND (SELECT coalesce(sum(calls_reserved), 0) FROM healings
       WHERE opened_at > clock_timestamp() - interval '24 hours' AND id <> %(id)s)
      + (SELECT coalesce(sum(calls), 0) FROM judge_turns
         WHERE taken_at > clock_timestamp() - interval '24 hours')
      + calls_reserved + %(calls)s <= %(daily)s;

-- name: reserved_today
SELECT (SELECT coalesce(sum(calls_reserved), 0) FROM healings
        WHERE opened_at > clock_timestamp() - interval '24 hours')
     + (SELECT coalesce(sum(calls), 0) FROM judge_turns
        WHERE taken_at > clock_timestamp() - interval '24 hours') AS calls;

-- name: settle
-- What was reserved and not needed comes back; what was used is counted, and kept as a payment.
WITH settled AS (
    UPDATE healings SET calls_reserved = calls_reserved - %(calls)s + %(used)s,
        calls_used = calls_used + %(used)s,
        input_tokens = input_tokens + %(input_tokens)s,
        output_tokens = output_tokens + %(output_tokens)s
    WHERE id = %(id)s AND holder = %(holder)s
    RETURNING id, state)
INSERT INTO payments (healing_id, state, calls, input_tokens, output_tokens)
SELECT id, state, %(used)s, %(input_tokens)s, %(output_tokens)s FROM settled;

-- name: payments
-- What each state has cost, the one that was first paid for first.
SELECT state, count(*)::int AS payments, sum(calls)::int AS calls,
    sum(input_tokens)::int AS input_tokens, sum(output_tokens)::int AS output_tokens
FROM payments WHERE healing_id = %(id)s GROUP BY state ORDER BY min(id);

-- name: close
UPDATE healings SET outcome = %(outcome)s, reason = %(reason)s, errored = %(errored)s,
    to_version = coalesce(%(to_version)s, to_version), receipt = %(receipt)s, state = 'end',
    closed_at = clock_timestamp()
WHERE id = %(id)s AND holder = %(holder)s AND closed_at IS NULL;

-- name: release_to
UPDATE healings SET to_version = %(version)s WHERE id = %(id)s AND holder = %(holder)s;

-- name: get
SELECT {healings} FROM healings WHERE id = %(id)s;

-- name: recent
SELECT {healings} FROM healings ORDER BY opened_at DESC LIMIT %(limit)s;

-- name: of_version
-- What was tried for this incumbent without a release, newest first: the cool-down counts from it.
SELECT {healings} FROM healings WHERE agent = %(agent)s AND incumbent_version = %(version)s
  AND closed_at IS NOT NULL AND trigger <> 'diet' AND outcome NOT IN ('promoted', 'canary')
  AND reason ->> 'code' <> 'kept_candidate_failed'  -- it tried nothing new
ORDER BY closed_at DESC LIMIT 20;

-- name: newest_of_kept
-- A candidate is kept until a later healing of the same incumbent gives it up, or has a version.
SELECT {healings} FROM healings WHERE agent = %(agent)s AND incumbent_version = %(version)s
  AND closed_at IS NOT NULL AND trigger <> 'diet' AND (outcome = 'collecting'
      OR reason ->> 'code' = 'kept_candidate_failed' OR to_version IS NOT NULL)
ORDER BY closed_at DESC LIMIT 1;

-- name: proven_against
-- The version that a healing last proved better than this incumbent, and that was not rolled back.
SELECT to_version FROM healings WHERE agent = %(agent)s AND incumbent_version = %(version)s
  AND outcome = 'promoted' AND trigger <> 'diet' AND to_version IS NOT NULL
ORDER BY closed_at DESC LIMIT 1;

-- name: shortened
-- Whether a version was shortened before or is the result of that. Repeated often, shortening would
-- succeed by chance (a healing that the budget cut short cannot), and the losses would add up.
SELECT 1 FROM healings
WHERE agent = %(agent)s AND trigger = 'diet' AND NOT errored AND outcome <> 'frozen'
  AND coalesce(receipt #>> '{gates,-1,budget_spent}', '') <> 'true'
  AND (incumbent_version = %(version)s OR to_version = %(version)s) LIMIT 1;

-- name: healed_cases
-- The production cases of every healing that was released: they must stay healed.
SELECT receipt -> 'healed_cases' AS cases FROM healings
WHERE agent = %(agent)s AND outcome IN ('promoted', 'canary') AND receipt ? 'healed_cases'
ORDER BY closed_at DESC LIMIT 50;

-- name: trained_cases
-- Which of these cases the newest healings trained on: none of them may be held out later.
SELECT DISTINCT case_id FROM
    (SELECT receipt #> '{split,train}' AS train FROM healings
     WHERE closed_at IS NOT NULL ORDER BY closed_at DESC LIMIT 50) AS newest,
    jsonb_array_elements_text(CASE jsonb_typeof(train) WHEN 'array' THEN train END) AS case_id
WHERE case_id = ANY(%(cases)s);
