-- What a healing must not lose is run again where it seems lost: a case has up to three takes.

ALTER TABLE trials ADD COLUMN take integer NOT NULL DEFAULT 0;
ALTER TABLE trials DROP CONSTRAINT trials_pkey;
ALTER TABLE trials ADD PRIMARY KEY (healing_id, stage, arm, case_id, take);
