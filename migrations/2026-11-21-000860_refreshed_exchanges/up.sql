-- What came of an exchange may be refreshed: such a family lives in a session that is not its own, and ends with the grant that
-- its subject token came from.
ALTER TABLE refresh_tokens
    ADD COLUMN parent uuid,
    ADD COLUMN borrows_session boolean NOT NULL DEFAULT false;
CREATE INDEX refresh_tokens_parent ON refresh_tokens (parent) WHERE parent IS NOT NULL;
COMMENT ON COLUMN refresh_tokens.parent IS 'The grant of the token that was exchanged for this family; revoked, it takes this one with it.';
COMMENT ON COLUMN refresh_tokens.borrows_session IS 'Begun by an exchange in somebody else''s session, which does not end with it.';
