-- columns: pauses
pauses.id, pauses.paused, pauses.reason, pauses.actor, pauses.created_at

-- name: add
INSERT INTO pauses (paused, reason, actor) VALUES (%(paused)s, %(reason)s, %(actor)s) RETURNING {pauses};

-- name: newest
SELECT {pauses} FROM pauses ORDER BY id DESC LIMIT 1;
