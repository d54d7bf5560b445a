-- name: add
INSERT INTO golden_requests (id, request, examples) VALUES (%(id)s, %(request)s, %(examples)s)
ON CONFLICT DO NOTHING RETURNING id;

-- name: list_all
SELECT id, request, examples FROM golden_requests ORDER BY id;

-- name: remove
DELETE FROM golden_requests WHERE id = %(id)s RETURNING id;
