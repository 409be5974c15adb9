-- Hosts behind a proxy that asks us who somebody is: the code that carries a sign-in over to such a host, and its own cookie.

CREATE TABLE forward_codes (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    host text NOT NULL CHECK (octet_length(host) BETWEEN 1 AND 512),
    state_digest bytea NOT NULL CHECK (octet_length(state_digest) = 32),
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    user_id uuid NOT NULL,
    destination text NOT NULL CHECK (octet_length(destination) BETWEEN 1 AND 1024),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL);
CREATE INDEX forward_codes_session ON forward_codes (session_id);
CREATE INDEX forward_codes_expires ON forward_codes (expires_at);
COMMENT ON TABLE forward_codes IS 'Sign-ins on their way to a protected host; taken by one DELETE, whoever presents them.';
COMMENT ON COLUMN forward_codes.host IS 'The origin of the protected host, as configured.';
COMMENT ON COLUMN forward_codes.state_digest IS 'SHA-256 of the cookie of the browser that began at that host.';
COMMENT ON COLUMN forward_codes.destination IS 'Path and query on that host to go on to.';

CREATE TABLE forward_sessions (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    host text NOT NULL CHECK (octet_length(host) BETWEEN 1 AND 512),
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL);
CREATE INDEX forward_sessions_session ON forward_sessions (session_id);
CREATE INDEX forward_sessions_expires ON forward_sessions (expires_at);
COMMENT ON TABLE forward_sessions IS 'Cookies of protected hosts. Each is good as long as the session it was given in, so nothing has to end it by itself.';
COMMENT ON COLUMN forward_sessions.digest IS 'SHA-256 of the cookie.';
COMMENT ON COLUMN forward_sessions.host IS 'The origin of the protected host; the cookie is worth nothing at another one.';

COMMENT ON COLUMN signing_keys.purpose IS '`tokens` (published), `refresh` (never published), `bridge:<name>`, `forward` (published apart).';
