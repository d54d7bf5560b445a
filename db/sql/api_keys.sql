-- name: add
INSERT INTO keys (id, tenant, name, sha256, scopes, expires_at)
VALUES (%(id)s, %(tenant)s, %(name)s, %(sha256)s, %(scopes)s,
        clock_timestamp() + make_interval(days => %(days)s))
RETURNING id, tenant, name, scopes, created_at, expires_at, revoked_at;

-- name: bootstrap
INSERT INTO keys (id, tenant, name, sha256, scopes)
VALUES ('bootstrap', 'bootstrap', 'SELFHEAL_BOOTSTRAP_KEY', %(sha256)s, %(scopes)s)
ON CONFLICT (id) DO UPDATE SET sha256 = excluded.sha256, revoked_at = NULL
WHERE keys.sha256 <> excluded.sha256;

-- name: find_valid
SELECT id, tenant, name, scopes, created_at, expires_at, revoked_at FROM keys
WHERE sha256 = %(sha256)s AND revoked_at IS NULL
  AND (expires_at IS NULL OR expires_at > clock_timestamp());

-- name: any_exist
SELECT EXISTS (SELECT 1 FROM keys) AS any_exist;

-- name: has_table
SELECT to_regclass('keys') IS NOT NULL AS has_table;

-- name: all
SELECT id, tenant, name, scopes, created_at, expires_at, revoked_at FROM keys ORDER BY created_at;

-- name: revoke
UPDATE keys SET revoked_at = coalesce(revoked_at, clock_timestamp()) WHERE id = %(id)s
RETURNING id;
