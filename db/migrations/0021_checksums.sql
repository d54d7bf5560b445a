-- The SHA-256 of each applied migration's text, so that an edited one is noticed. Null for those
-- applied before this column existed, until the next start fills it.

ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS checksum text;
