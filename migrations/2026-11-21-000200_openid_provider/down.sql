DROP INDEX audit_events_at;
ALTER TABLE refresh_tokens DROP COLUMN jkt, DROP COLUMN offline;
DROP TABLE outbox;
DROP TABLE idempotency_keys;
DROP TABLE initial_access_tokens;
DROP TABLE device_codes;
DROP TABLE used_jti;
DROP TABLE session_clients;
DROP TABLE consents;
DROP TABLE revoked_tokens;
DROP TABLE authorization_codes;
DROP TABLE interactions;
DROP TABLE pushed_requests;
DROP TABLE resources;
ALTER TABLE clients DROP COLUMN source, DROP COLUMN previous_secret_digest, DROP COLUMN previous_secret_until,
    DROP COLUMN registration_token_digest, DROP COLUMN fetch_again_at;
