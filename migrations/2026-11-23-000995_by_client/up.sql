-- What a client was given is looked for by the client when it is deleted, when its registration is swept, and when somebody
-- takes their consent back. Without these every one of them read the tables whole.
CREATE INDEX refresh_tokens_client ON refresh_tokens (client_id, user_id);
CREATE INDEX authorization_codes_client ON authorization_codes (client_id, user_id);
CREATE INDEX device_codes_client ON device_codes (client_id, user_id);
CREATE INDEX consents_client ON consents (client_id);
CREATE INDEX session_clients_client ON session_clients (client_id);
-- Sessions of the browser are no client's.
CREATE INDEX sessions_client ON sessions (client_id) WHERE client_id IS NOT NULL;
