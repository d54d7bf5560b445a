-- columns: prompts
prompts.agent, prompts.version, prompts.text, prompts.parent, prompts.author, prompts.note,
prompts.sha256, prompts.created_at

-- columns: releases
releases.id, releases.agent, releases.previous_release_id, releases.action, releases.version,
releases.actor, releases.note, releases.created_at, releases.healing_id, releases.base_version,
releases.percent, releases.pinned, releases.reason

-- name: add
-- A new version, numbered one above the newest. Of two concurrent writers the primary key refuses one.
INSERT INTO prompts (agent, version, text, parent, author, note, sha256)
SELECT %(agent)s, coalesce(max(version), 0) + 1, %(text)s, %(parent)s, %(author)s, %(note)s, %(sha256)s
FROM prompts WHERE agent = %(agent)s
RETURNING {prompts};

-- name: get
SELECT {prompts} FROM prompts WHERE agent = %(agent)s AND version = %(version)s;

-- name: versions
-- All versions of an agent, newest first.
SELECT {prompts} FROM prompts WHERE agent = %(agent)s ORDER BY version DESC;

-- name: listed
SELECT {prompts} FROM prompts WHERE agent = %(agent)s ORDER BY version DESC
LIMIT %(limit)s OFFSET %(offset)s;

-- name: released
-- The live prompt. In a canary a hash of the thread decides; without a thread it is the version
-- before.
WITH head AS (SELECT {releases} FROM releases WHERE agent = %(agent)s ORDER BY id DESC LIMIT 1)
SELECT {prompts} FROM head JOIN prompts ON prompts.agent = head.agent AND prompts.version = CASE
    WHEN base_version IS NULL THEN head.version
    WHEN ('x' || left(md5(head.id || ':' || %(thread)s::text), 8))::bit(32)::bigint %% 100 < percent
    THEN head.version ELSE base_version END;

-- name: head
-- The newest release of an agent.
SELECT {releases} FROM releases WHERE agent = %(agent)s ORDER BY id DESC LIMIT 1;

-- name: releases
-- The release log of an agent, newest first.
SELECT {releases} FROM releases WHERE agent = %(agent)s ORDER BY id DESC LIMIT %(limit)s;

-- name: before
-- The version that a rollback goes to: the one that the live version replaced. Releases of the live
-- version over itself (pinned, or promoted from a canary) are skipped. So are rollbacks, so that a
-- second one goes further back, not forward again.
SELECT coalesce(earlier.base_version, earlier.version) AS version FROM releases AS came
JOIN releases AS earlier ON earlier.id = came.previous_release_id
WHERE came.agent = %(agent)s AND came.version = %(version)s
  AND came.action NOT IN ('rollback', 'take_back')
  AND coalesce(earlier.base_version, earlier.version) <> came.version
ORDER BY came.id DESC LIMIT 1;

-- name: release
INSERT INTO releases (agent, previous_release_id, action, version, actor, note, healing_id,
                      base_version, percent, pinned, reason)
VALUES (%(agent)s, %(previous)s, %(action)s, %(version)s, %(actor)s, %(note)s, %(healing_id)s,
        %(base_version)s, %(percent)s, %(pinned)s, %(reason)s)
RETURNING {releases};
