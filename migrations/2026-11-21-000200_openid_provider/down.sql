DROP INDEX audit_events_at;
ALTER TABLE refresh_tokens DROP COLUMN jkt, DROP COLUMN offline;
DROP TRIGGER sessions_ended ON sessions;
DROP FUNCTION tell_clients_of_ended_session;
DROP TABLE outbox;
DROP TABLE idempotency_keys;
DROP TABLE initial_access_tokens;
DROP TABLE device_guesses;
DROP TABLE device_codes;
DROP TABLE used_jti;
DROP TABLE session_clients;
DROP TABLE consents;
DROP TABLE revoked_tokens;
DROP TABLE authorization_codes;
DROP TABLE interactions;
DROP TABLE pushed_requests;
DROP TABLE resources;
DELETE FROM clients WHERE source = 'metadata_document';
ALTER TABLE clients DROP CONSTRAINT clients_id_check,
    ADD CONSTRAINT clients_id_check CHECK (id ~ '^[a-zA-Z0-9][a-zA-Z0-9._~:-]{0,127}$');
ALTER TABLE clients DROP COLUMN source, DROP COLUMN previous_secret_digest, DROP COLUMN previous_secret_until,
    DROP COLUMN registration_token_digest, DROP COLUMN fetch_again_at;
