-- Announcements of candidates that wait for approval: one row per healing and channel.

CREATE TABLE approval_announcements (
    healing_id uuid        NOT NULL REFERENCES healings (id) ON DELETE CASCADE,
    channel    text        NOT NULL CHECK (channel IN ('webhook', 'folder', 'command')),
    attempts   integer     NOT NULL DEFAULT 0,
    due_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at   timestamptz,
    last_error text        NOT NULL DEFAULT '',
    PRIMARY KEY (healing_id, channel)
);
