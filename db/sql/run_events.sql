-- name: append
INSERT INTO run_events (run_id, seq, event, data)
SELECT %(id)s, %(after)s + number, event, data
FROM unnest(%(events)s::text[], %(data)s::text[]) WITH ORDINALITY AS given (event, data, number);

-- name: notify
-- The waiters of a run, in every process.
SELECT pg_notify('selfheal_runs', %(id)s::text);

-- name: notify_cancel
SELECT pg_notify('selfheal_cancels', %(id)s::text);

-- name: after
-- As many as have at most 4 MB together, and at least one. A text's length is known without reading
-- it.
SELECT seq, event, data FROM (
    SELECT seq, event, data, octet_length(data) AS bytes,
           sum(octet_length(data)) OVER (ORDER BY seq) AS sum
    FROM (SELECT seq, event, data FROM run_events
          WHERE run_id = %(id)s AND seq > %(after)s ORDER BY seq LIMIT 500) AS next
) AS summed
WHERE sum <= 4194304 OR sum = bytes ORDER BY seq;

-- name: last
SELECT coalesce(max(seq), 0) AS seq FROM run_events WHERE run_id = %(id)s;
