-- name: add
-- A new version: one more than the newest. Two writers at once: the primary key refuses the second.
INSERT INTO prompts (agent, version, text, parent, author, note, sha256)
SELECT %(agent)s, coalesce(max(version), 0) + 1, %(text)s, %(parent)s, %(author)s, %(note)s, %(sha256)s
FROM prompts WHERE agent = %(agent)s
RETURNING *;

-- name: get
SELECT * FROM prompts WHERE agent = %(agent)s AND version = %(version)s;

-- name: versions
-- All versions of an agent, newest first.
SELECT * FROM prompts WHERE agent = %(agent)s ORDER BY version DESC;

-- name: released
-- The prompt that is live now.
SELECT prompts.* FROM prompts
JOIN releases USING (agent, version)
WHERE agent = %(agent)s
ORDER BY releases.id DESC LIMIT 1;

-- name: head
-- The newest release of an agent.
SELECT * FROM releases WHERE agent = %(agent)s ORDER BY id DESC LIMIT 1;

-- name: releases
-- The release log of an agent, newest first.
SELECT * FROM releases WHERE agent = %(agent)s ORDER BY id DESC LIMIT %(limit)s;

-- name: before
-- What was live when the present version came: where a roll-back goes. Roll-backs themselves
-- are passed over, so that a second one goes further back and not forth again.
SELECT earlier.* FROM releases AS came
JOIN releases AS earlier ON earlier.id = came.previous_release_id
WHERE came.agent = %(agent)s AND came.version = %(version)s AND came.action <> 'rollback'
ORDER BY came.id DESC LIMIT 1;

-- name: release
INSERT INTO releases (agent, previous_release_id, action, version, actor, note, healing_id)
VALUES (%(agent)s, %(previous)s, %(action)s, %(version)s, %(actor)s, %(note)s, %(healing_id)s)
RETURNING *;
