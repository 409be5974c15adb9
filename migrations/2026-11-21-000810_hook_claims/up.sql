ALTER TABLE sessions ADD COLUMN hook_claims jsonb CHECK (jsonb_typeof(hook_claims) = 'object');
COMMENT ON COLUMN sessions.hook_claims IS 'What hooks added at the sign-in: in every token of the session, under one name.';
