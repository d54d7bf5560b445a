-- The daily check of the judge against golden verdicts, made by one process of all.

CREATE TABLE judge_turns (
    model          text        NOT NULL,
    prompt_version integer     NOT NULL,
    slot           bigint      NOT NULL,  -- the hour since 1970; the key lets one process try in it
    calls          integer     NOT NULL,
    taken_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model, prompt_version, slot)
);
CREATE INDEX judge_turns_recent ON judge_turns (taken_at);
