-- What an OpenID provider remembers: requests in flight, codes, consent, resources, single-use ids, work to be delivered.

ALTER TABLE clients
    ADD COLUMN source text NOT NULL DEFAULT 'administration'
        CHECK (source IN ('configuration', 'administration', 'registration', 'metadata_document')),
    ADD COLUMN previous_secret_digest bytea CHECK (octet_length(previous_secret_digest) = 32),
    ADD COLUMN previous_secret_until timestamptz,
    ADD COLUMN registration_token_digest bytea CHECK (octet_length(registration_token_digest) = 32),
    ADD COLUMN fetch_again_at timestamptz,
    ADD CHECK ((previous_secret_digest IS NULL) = (previous_secret_until IS NULL));
-- A client that is described by a document has the document's address as its id.
ALTER TABLE clients DROP CONSTRAINT clients_id_check, ADD CONSTRAINT clients_id_check CHECK (
    id ~ '^[a-zA-Z0-9][a-zA-Z0-9._~:-]{0,127}$' OR (source = 'metadata_document' AND id ~ '^https://[!-~]+$' AND octet_length(id) <= 500));
UPDATE clients SET source = 'configuration' WHERE managed_by IS NOT NULL;
COMMENT ON COLUMN clients.source IS 'How it came to be: declared, made by an administrator, registered by itself (RFC 7591), or read from its own metadata document.';
COMMENT ON COLUMN clients.previous_secret_digest IS 'The secret before the last rotation; good until previous_secret_until.';
COMMENT ON COLUMN clients.registration_token_digest IS 'SHA-256 of the registration access token (RFC 7592 §3), of clients that registered themselves.';
COMMENT ON COLUMN clients.fetch_again_at IS 'When a client''s metadata document must be read again.';

CREATE TABLE resources (
    identifier text PRIMARY KEY CHECK (octet_length(identifier) BETWEEN 1 AND 512),
    definition jsonb NOT NULL CHECK (jsonb_typeof(definition) = 'object'),
    managed_by text,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL);
COMMENT ON TABLE resources IS 'APIs that access tokens are made for (RFC 8707): their scopes, lifetime and algorithm.';

-- `json`, not `jsonb`: `state` and `nonce` come back as they were sent, and `jsonb` takes no NUL.
-- Requests in flight are unlogged: a crash loses them, the person begins again, and a row that is gone gives nothing.
CREATE UNLOGGED TABLE pushed_requests (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    client_id text NOT NULL,
    request json NOT NULL,
    expires_at timestamptz NOT NULL);
CREATE INDEX pushed_requests_expires ON pushed_requests (expires_at);
COMMENT ON TABLE pushed_requests IS 'Authorization requests that clients sent ahead (RFC 9126); gone when a code is given for them.';

CREATE UNLOGGED TABLE interactions (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    client_id text NOT NULL,
    request json NOT NULL,
    pushed bytea,
    chosen_by uuid,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL);
CREATE INDEX interactions_expires ON interactions (expires_at);
COMMENT ON TABLE interactions IS 'Authorization requests that wait for a person: checked once, then never read from the browser again.';
COMMENT ON COLUMN interactions.digest IS 'SHA-256 of the handle in the page''s address.';
COMMENT ON COLUMN interactions.chosen_by IS 'The session whose owner said that this is the account to go on with.';
COMMENT ON COLUMN interactions.pushed IS 'The pushed request it came from, which is used up with it.';

CREATE TABLE authorization_codes (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    grant_id uuid NOT NULL,
    client_id text NOT NULL,
    user_id uuid NOT NULL,
    session_id uuid NOT NULL,
    request json NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    kept_until timestamptz NOT NULL);
CREATE INDEX authorization_codes_kept ON authorization_codes USING brin (kept_until);
COMMENT ON TABLE authorization_codes IS 'Codes, used ones too: a second use must revoke what the first gave.';
COMMENT ON COLUMN authorization_codes.grant_id IS 'The name of what the code gives: the refresh family and the `grant_id` of its access tokens.';
COMMENT ON COLUMN authorization_codes.request IS 'What the code is bound to: redirect URI, challenge, nonce, scopes, claims, resources, DPoP key.';
COMMENT ON COLUMN authorization_codes.kept_until IS 'When the last access token that the code can have given has ended.';

CREATE TABLE revoked_tokens (
    id uuid PRIMARY KEY,
    until timestamptz NOT NULL);
COMMENT ON TABLE revoked_tokens IS 'Access tokens refused before their end, by `jti` or by `grant_id`.';

CREATE TABLE consents (
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    client_id text NOT NULL,
    scope text NOT NULL,
    resources text[] NOT NULL DEFAULT '{}',
    claims text[] NOT NULL DEFAULT '{}',
    granted_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, client_id));
COMMENT ON TABLE consents IS 'What people allowed an app: a request that fits in asks nothing again.';

CREATE TABLE session_clients (
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    client_id text NOT NULL,
    first_at timestamptz NOT NULL,
    PRIMARY KEY (session_id, client_id));
COMMENT ON TABLE session_clients IS 'Which apps got an ID token in a browser session: those are told when it ends.';

CREATE TABLE used_jti (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    expires_at timestamptz NOT NULL);
CREATE INDEX used_jti_expires ON used_jti USING brin (expires_at);
COMMENT ON TABLE used_jti IS 'Ids of single-use tokens that others sign (client assertions, DPoP proofs, request objects), until they expire.';
COMMENT ON COLUMN used_jti.digest IS 'SHA-256 over the kind of token, its signer and its `jti`.';

CREATE TABLE device_codes (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    user_code text NOT NULL UNIQUE CHECK (user_code ~ '^[A-Z]{8}([A-Z]{2})?$'),
    grant_id uuid NOT NULL,
    client_id text NOT NULL,
    request jsonb NOT NULL,
    address_class text,
    poll_interval integer NOT NULL,
    last_polled_at timestamptz,
    claimed_by uuid,
    user_id uuid,
    session_id uuid,
    decision text CHECK (decision IN ('allowed', 'denied')),
    decided_at timestamptz,
    used_at timestamptz,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL);
CREATE INDEX device_codes_expires ON device_codes (expires_at);
COMMENT ON TABLE device_codes IS 'Devices that wait for a person elsewhere (RFC 8628).';
COMMENT ON COLUMN device_codes.claimed_by IS 'The first session that opened the code; only it may allow or deny.';

-- Unlogged: a crash forgets wrong codes, and that is a few more guesses once.
CREATE UNLOGGED TABLE device_guesses (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    letters smallint NOT NULL,
    session_id uuid NOT NULL,
    address_class text NOT NULL);
CREATE INDEX device_guesses_at ON device_guesses (at);
COMMENT ON TABLE device_guesses IS 'Wrong codes that people entered lately: how often, not which.';

CREATE TABLE initial_access_tokens (
    id uuid PRIMARY KEY,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    name text NOT NULL,
    policy jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(policy) = 'object'),
    uses_left integer CHECK (uses_left >= 0),
    expires_at timestamptz,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz);
COMMENT ON TABLE initial_access_tokens IS 'Permissions to register a client (RFC 7591 §3).';

CREATE TABLE idempotency_keys (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    request_digest bytea NOT NULL CHECK (octet_length(request_digest) = 32),
    answer jsonb NOT NULL,
    expires_at timestamptz NOT NULL);
COMMENT ON TABLE idempotency_keys IS 'Answers to administrative requests that may be sent again; the digest covers caller, operation and key.';

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    lane text NOT NULL,
    payload jsonb NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_try_at timestamptz NOT NULL,
    last_error text,
    created_at timestamptz NOT NULL,
    delivered_at timestamptz,
    given_up_at timestamptz);
CREATE INDEX outbox_due ON outbox (next_try_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX outbox_lane ON outbox (lane, id) WHERE delivered_at IS NULL AND given_up_at IS NULL;
COMMENT ON TABLE outbox IS 'What must reach others at least once: written with the change it tells of, delivered afterwards.';
COMMENT ON COLUMN outbox.lane IS 'Messages of one lane are delivered in order (for example one session and client).';
COMMENT ON COLUMN outbox.next_try_at IS 'When it may be delivered; while a server delivers it, the end of that server''s lease.';

-- A trigger and no line in each statement that ends a session: there are many, written in many places, and one that
-- forgot it would leave people signed in elsewhere.
CREATE FUNCTION tell_clients_of_ended_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (kind, lane, payload, next_try_at, created_at)
    SELECT 'backchannel_logout', 'logout/' || NEW.id || '/' || session_clients.client_id,
        jsonb_build_object('session', NEW.id, 'user', NEW.user_id, 'client', session_clients.client_id),
        NEW.revoked_at, NEW.revoked_at
    FROM session_clients JOIN clients ON clients.id = session_clients.client_id
    WHERE session_clients.session_id = NEW.id AND clients.disabled_at IS NULL
      AND clients.definition ? 'backchannel_logout_uri'
    ORDER BY session_clients.client_id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION tell_clients_of_ended_session IS 'Puts a back-channel logout for each app of a session into the outbox, in the transaction that ends it.';
CREATE TRIGGER sessions_ended AFTER UPDATE OF revoked_at ON sessions FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION tell_clients_of_ended_session();

ALTER TABLE refresh_tokens
    ADD COLUMN jkt text,
    ADD COLUMN offline boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN refresh_tokens.jkt IS 'Thumbprint of the DPoP key that a public client''s family is bound to (RFC 9449 §5).';
COMMENT ON COLUMN refresh_tokens.offline IS 'Granted with offline_access: outlives the browser session it began in.';

-- For the deletion of old events; they are written in about the order of their time, so that a small index does.
CREATE INDEX audit_events_at ON audit_events USING brin (at);
