-- name: append
INSERT INTO run_events (run_id, seq, event, data)
SELECT %(id)s, %(after)s + number, event, data
FROM unnest(%(events)s::text[], %(data)s::text[]) WITH ORDINALITY AS given (event, data, number);

-- name: tell
-- Wake whoever waits for news of a run, in whichever process.
SELECT pg_notify('selfheal_runs', %(id)s::text);

-- name: tell_to_cancel
SELECT pg_notify('selfheal_cancels', %(id)s::text);

-- name: after
SELECT seq, event, data FROM run_events
WHERE run_id = %(id)s AND seq > %(after)s ORDER BY seq LIMIT 500;

-- name: last
SELECT coalesce(max(seq), 0) AS seq FROM run_events WHERE run_id = %(id)s;
