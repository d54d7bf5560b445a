-- Canaries, pinned versions, and the pause switch of healing.

ALTER TABLE releases
    ADD COLUMN base_version integer,
    ADD COLUMN percent      integer NOT NULL DEFAULT 100 CHECK (percent BETWEEN 1 AND 100),
    ADD COLUMN pinned       boolean NOT NULL DEFAULT false,
    ADD FOREIGN KEY (agent, base_version) REFERENCES prompts (agent, version),
    -- A canary names the version that the other threads keep.
    ADD CONSTRAINT releases_canary_check CHECK ((base_version IS NULL) = (percent = 100)),
    DROP CONSTRAINT releases_action_check,
    ADD CONSTRAINT releases_action_check CHECK (action IN
        ('seed', 'activate', 'rollback', 'heal', 'canary', 'promote', 'take_back'));

CREATE TABLE pauses (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    paused     boolean     NOT NULL,
    reason     text        NOT NULL,
    actor      text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
