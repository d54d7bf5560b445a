-- Judge drift: a judge is compared with its first sound checks. A flag stays until the judge agrees
-- as it did then, or until an operator lifts it.

ALTER TABLE judge_checks ADD COLUMN complete boolean NOT NULL DEFAULT false;
CREATE INDEX judge_checks_sound ON judge_checks (model, prompt_version, id) WHERE NOT drifted;

CREATE TABLE judge_flags (
    id             bigserial   PRIMARY KEY,
    model          text        NOT NULL,
    prompt_version integer     NOT NULL,
    check_id       bigint      NOT NULL REFERENCES judge_checks (id),
    usual_agreed   integer,    -- the anchor that it was compared with; null: with the floor alone
    usual_asked    integer,
    raised_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    lifted_at      timestamptz,
    lifted_by      text,
    reason         jsonb,
    anchor_after   bigint,     -- lifted by an operator: earlier checks no longer are the anchor's
    CHECK ((usual_agreed IS NULL) = (usual_asked IS NULL)),
    CHECK ((lifted_at IS NULL) = (lifted_by IS NULL) AND (lifted_at IS NULL) = (reason IS NULL))
);
CREATE UNIQUE INDEX judge_flags_standing ON judge_flags (model, prompt_version)
    WHERE lifted_at IS NULL;

-- Events to annotate graphs with: a flag is one event, not each of the checks while it stands.
CREATE OR REPLACE VIEW grafana.incidents AS
SELECT opened_at AS at, 'healing began' AS what, agent, incumbent_version AS version,
       id AS healing_id
FROM healings
UNION ALL
SELECT closed_at, 'healing broke off', agent, incumbent_version, id
FROM healings WHERE errored
UNION ALL
SELECT closed_at, 'a person must decide', agent, to_version, id
FROM healings WHERE outcome = 'needs_approval'
UNION ALL
SELECT closed_at, 'healing frozen', agent, incumbent_version, id
FROM healings WHERE outcome = 'frozen'
UNION ALL
SELECT created_at, CASE action WHEN 'rollback' THEN 'rolled back by hand'
                               ELSE 'rolled back by itself' END, agent, version, healing_id
FROM releases WHERE action IN ('rollback', 'take_back')
UNION ALL
SELECT created_at, CASE WHEN paused THEN 'healing paused' ELSE 'healing resumed' END,
       NULL, NULL, NULL
FROM pauses
UNION ALL
SELECT raised_at, 'judge drifted', 'evaluator', prompt_version, NULL FROM judge_flags
UNION ALL
SELECT lifted_at, 'judge trusted again', 'evaluator', prompt_version, NULL
FROM judge_flags WHERE lifted_at IS NOT NULL;
