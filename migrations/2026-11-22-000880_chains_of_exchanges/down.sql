DROP INDEX refresh_tokens_actor_grant;
ALTER TABLE refresh_tokens DROP COLUMN origin, DROP COLUMN actor_grant;
