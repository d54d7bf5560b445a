-- A regression case that fails is run again: a case has up to three takes.

ALTER TABLE trials ADD COLUMN take integer NOT NULL DEFAULT 0;
ALTER TABLE trials DROP CONSTRAINT trials_pkey;
ALTER TABLE trials ADD PRIMARY KEY (healing_id, stage, arm, case_id, take);
