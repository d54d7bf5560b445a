-- Reasons are codes with figures (db/reasons.py). Sentences of before are kept, as notes.

ALTER TABLE healings
    ALTER COLUMN reason DROP NOT NULL,
    ALTER COLUMN reason DROP DEFAULT,
    ALTER COLUMN reason TYPE jsonb USING CASE WHEN reason <> '' THEN
        jsonb_build_object('code', 'note', 'values', jsonb_build_object('text', reason)) END;

ALTER TABLE healing_follow_ups
    ALTER COLUMN reason TYPE jsonb USING
        jsonb_build_object('code', 'note', 'values', jsonb_build_object('text', reason));

ALTER TABLE optimizer_outcomes
    ALTER COLUMN reason DROP NOT NULL,
    ALTER COLUMN reason DROP DEFAULT,
    ALTER COLUMN reason TYPE jsonb USING CASE WHEN reason <> '' THEN
        jsonb_build_object('code', 'note', 'values', jsonb_build_object('text', reason)) END;

ALTER TABLE pauses
    ALTER COLUMN reason TYPE jsonb USING
        jsonb_build_object('code', 'note', 'values', jsonb_build_object('text', reason));

-- Why a release was made automatically; an operator's words stay in `note`.
ALTER TABLE releases ADD COLUMN reason jsonb;
