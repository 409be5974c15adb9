ALTER TABLE sessions DROP COLUMN hook_claims;
