-- The tokens of an agent's own model call: a candidate may not cost much more than what it replaces.

ALTER TABLE trials ADD COLUMN tokens integer;  -- of the call that the prompt was used in
ALTER TABLE runs ADD COLUMN usage jsonb;       -- calls, input and output tokens of each agent
