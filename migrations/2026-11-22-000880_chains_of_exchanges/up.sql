-- A family that came of an exchange ends with the grant of the person who acts, and what is exchanged further for its tokens
-- hangs on its exchange too.
ALTER TABLE refresh_tokens
    ADD COLUMN actor_grant uuid,
    ADD COLUMN origin jsonb;
CREATE INDEX refresh_tokens_actor_grant ON refresh_tokens (actor_grant) WHERE actor_grant IS NOT NULL;
COMMENT ON COLUMN refresh_tokens.actor_grant IS 'The grant of the actor token of its exchange; revoked, it takes this one with it.';
COMMENT ON COLUMN refresh_tokens.origin IS 'The exchange that began it, as its tokens remember it; none of any other family.';
