-- A backend may have one of its people sign an operation on our own page: one more action, with what is signed.
-- Tokens live a day at most, so the table is small and its new checks are quick.

ALTER TABLE action_tokens
    ADD COLUMN operation jsonb CHECK (jsonb_typeof(operation) = 'object'),
    ADD COLUMN proved jsonb CHECK (jsonb_typeof(proved) = 'object');
ALTER TABLE action_tokens DROP CONSTRAINT action_tokens_action_check;
ALTER TABLE action_tokens ADD CONSTRAINT action_tokens_action_check
    CHECK (action IN ('enrol', 'sign_in', 'step_up', 'list', 'delete', 'sign'));
ALTER TABLE action_tokens ADD CONSTRAINT action_tokens_signs CHECK ((operation IS NOT NULL) = (action = 'sign'));
COMMENT ON COLUMN action_tokens.proved IS 'What the signature of the operation proved, kept until its client fetches it, once.';
COMMENT ON COLUMN action_tokens.operation IS 'What is signed, as it was checked when the token was made.';
