-- People, their passkeys, sessions and tokens. Every later table hangs on these.

CREATE TABLE installation (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    master_key_id text NOT NULL,
    master_key_check bytea NOT NULL CHECK (octet_length(master_key_check) = 32),
    created_at timestamptz NOT NULL);
COMMENT ON TABLE installation IS 'One row: which master key seals this database.';
COMMENT ON COLUMN installation.master_key_check IS 'Derived from the master key, so that a wrong key is noticed at start; reveals nothing of it.';

CREATE TABLE users (
    id uuid PRIMARY KEY,
    user_handle bytea NOT NULL UNIQUE CHECK (octet_length(user_handle) BETWEEN 1 AND 64),
    email text CHECK (octet_length(email) BETWEEN 3 AND 254),
    email_verified_at timestamptz,
    name text CHECK (octet_length(name) <= 512),
    profile jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(profile) = 'object'),
    locale text,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    epoch bigint NOT NULL DEFAULT 0,
    claims jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(claims) = 'object'),
    managed_by text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (email IS NOT NULL OR email_verified_at IS NULL));
CREATE UNIQUE INDEX users_verified_email ON users (lower(email)) WHERE email_verified_at IS NOT NULL;
CREATE INDEX users_email ON users (lower(email)) WHERE email IS NOT NULL;
COMMENT ON TABLE users IS 'People.';
COMMENT ON COLUMN users.id IS 'The subject (`sub`) of the person''s tokens.';
COMMENT ON COLUMN users.user_handle IS 'What authenticators store; random, never the e-mail, never the `sub`, never used again.';
COMMENT ON COLUMN users.email IS 'Unique only once verified: an unverified address is never an identity.';
COMMENT ON COLUMN users.profile IS 'Standard OpenID Connect claims beside name and e-mail.';
COMMENT ON COLUMN users.epoch IS 'Rises on disable, password reset and credential change; a decision made under an older epoch is not written.';
COMMENT ON COLUMN users.managed_by IS 'The configuration file that declares this row; such rows are read-only by API.';

CREATE TABLE external_ids (
    source text NOT NULL,
    external_id text NOT NULL,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    PRIMARY KEY (source, external_id));
CREATE INDEX external_ids_user ON external_ids (user_id);
COMMENT ON TABLE external_ids IS 'The names other systems know a person by.';

CREATE TABLE groups (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    managed_by text,
    created_at timestamptz NOT NULL);
COMMENT ON TABLE groups IS 'Names that people are gathered under; what it means is for claims and bridges to say.';
CREATE TABLE group_members (
    group_id uuid NOT NULL REFERENCES groups ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id));
CREATE INDEX group_members_user ON group_members (user_id);
COMMENT ON TABLE group_members IS 'Who is in which group.';

CREATE TABLE credentials (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    rp_id text NOT NULL,
    credential_id bytea NOT NULL CHECK (octet_length(credential_id) BETWEEN 16 AND 1023),
    user_handle bytea CHECK (octet_length(user_handle) BETWEEN 1 AND 64),
    passkey jsonb NOT NULL,
    algorithm integer NOT NULL,
    sign_count bigint NOT NULL DEFAULT 0 CHECK (sign_count BETWEEN 0 AND 4294967295),
    user_verified boolean NOT NULL,
    backup_eligible boolean NOT NULL,
    backup_state boolean NOT NULL,
    transports text[] NOT NULL DEFAULT '{}',
    aaguid uuid,
    resident boolean,
    attested boolean NOT NULL DEFAULT false,
    name text NOT NULL CHECK (octet_length(name) <= 256),
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    suspended_at timestamptz,
    suspended_reason text,
    CHECK (backup_eligible OR NOT backup_state));
CREATE INDEX credentials_user ON credentials (user_id);
COMMENT ON TABLE credentials IS 'Passkeys.';
COMMENT ON COLUMN credentials.user_handle IS 'The handle this passkey was registered under; NULL when it came from a system that kept none.';
COMMENT ON COLUMN credentials.passkey IS 'The WebAuthn library''s own document, its compatibility promise; counter and flags are kept in the columns.';
COMMENT ON COLUMN credentials.algorithm IS 'COSE algorithm identifier (-7 ES256, -35 ES384, -257 RS256).';
COMMENT ON COLUMN credentials.sign_count IS 'Unsigned 32 bits, so wider than integer. Never decreases.';
COMMENT ON COLUMN credentials.aaguid IS 'A label, never a control: unsigned without attestation.';
COMMENT ON COLUMN credentials.suspended_at IS 'Set when the counter went back (a copy is suspected); the passkey then signs nobody in.';

CREATE TABLE credential_index (
    rp_id text NOT NULL,
    credential_id bytea NOT NULL,
    user_id uuid NOT NULL,
    credential uuid NOT NULL REFERENCES credentials ON DELETE CASCADE,
    PRIMARY KEY (rp_id, credential_id));
CREATE INDEX credential_index_credential ON credential_index (credential);
COMMENT ON TABLE credential_index IS 'The one global look-up of a sign-in without a user name. Never replaced on conflict: a replacement would sign the victim in to the attacker''s account.';

CREATE TABLE retired_relying_parties (
    rp_id text PRIMARY KEY,
    retired_at timestamptz NOT NULL);
COMMENT ON TABLE retired_relying_parties IS 'RP ids whose passkeys were given up on purpose; any other RP id that is stored but not configured stops the start.';

CREATE TABLE clients (
    id text PRIMARY KEY CHECK (id ~ '^[a-zA-Z0-9][a-zA-Z0-9._~:-]{0,127}$'),
    definition jsonb NOT NULL CHECK (jsonb_typeof(definition) = 'object'),
    secret_digest bytea CHECK (octet_length(secret_digest) = 32),
    managed_by text,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL);
COMMENT ON TABLE clients IS 'OAuth clients: declared by configuration (managed_by), or made by administrators.';
COMMENT ON COLUMN clients.definition IS 'Name, kind, origins, redirect URIs, grants, scopes and lifetimes, as the configuration writes them.';
COMMENT ON COLUMN clients.secret_digest IS 'SHA-256 of a secret of 256 random bits that we made; the secret itself is shown once.';

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    token_digest bytea CHECK (octet_length(token_digest) = 32),
    client_id text,
    credential uuid,
    acr text NOT NULL,
    amr text[] NOT NULL,
    credential_class text,
    auth_time timestamptz NOT NULL,
    verified_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    revoked_at timestamptz,
    user_agent text,
    address_class text);
CREATE UNIQUE INDEX sessions_token ON sessions (token_digest) WHERE token_digest IS NOT NULL;
CREATE INDEX sessions_user ON sessions (user_id);
-- Rows come in order of their end, near enough: a block range index serves the sweep and costs an insert nothing.
CREATE INDEX sessions_ends ON sessions USING brin (ends_at);
COMMENT ON TABLE sessions IS 'Sign-ins: of a browser (with a cookie) or of a client (through its tokens).';
COMMENT ON COLUMN sessions.id IS 'The `sid` of the session''s tokens.';
COMMENT ON COLUMN sessions.credential IS 'The passkey that opened it. No foreign key: every sign-in would pay for it, and an id that is gone harms nobody.';
COMMENT ON COLUMN sessions.token_digest IS 'SHA-256 of the cookie; NULL for a session that exists only through its tokens.';
COMMENT ON COLUMN sessions.auth_time IS 'When the person last proved who they are to open or renew this session.';
COMMENT ON COLUMN sessions.verified_at IS 'When user verification last happened; sensitive changes want it fresh.';
COMMENT ON COLUMN sessions.expires_at IS 'Sliding end; moves with use, never past ends_at.';

CREATE TABLE refresh_tokens (
    family uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    client_id text NOT NULL,
    scope text NOT NULL,
    audience text[] NOT NULL,
    leaf_digest bytea NOT NULL CHECK (octet_length(leaf_digest) = 32),
    leaf_key text NOT NULL,
    leaf_issued_at timestamptz NOT NULL,
    leaf_expires_at timestamptz NOT NULL,
    previous_digest bytea CHECK (octet_length(previous_digest) = 32),
    rotated_at timestamptz,
    generation bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_reason text);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
COMMENT ON TABLE refresh_tokens IS 'One row a family. Its tokens are signed by us, so any genuine one that is neither the leaf nor its predecessor was used before: at most one live leaf by construction.';
COMMENT ON COLUMN refresh_tokens.session_id IS 'The session it lives and ends with; the person''s rows go with their sessions.';
COMMENT ON COLUMN refresh_tokens.leaf_digest IS 'SHA-256 of the jti of the one live token.';
COMMENT ON COLUMN refresh_tokens.leaf_key IS 'Key id the leaf was signed with; with issued and expires it lets every replica print the same bytes again.';
COMMENT ON COLUMN refresh_tokens.previous_digest IS 'The token the leaf replaced; presented again inside the retry window it yields the same leaf.';

CREATE TABLE signing_keys (
    kid text PRIMARY KEY,
    purpose text NOT NULL,
    algorithm text NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    published_at timestamptz NOT NULL,
    signs_from timestamptz NOT NULL,
    retired_at timestamptz,
    verifies_until timestamptz,
    revoked_at timestamptz,
    CHECK (signs_from >= published_at));
COMMENT ON TABLE signing_keys IS 'What we sign with; each key passes through published, signing, verifying and expired by its dates alone.';
COMMENT ON COLUMN signing_keys.purpose IS '`tokens` (published), `refresh` (never published), `bridge:<name>`.';
COMMENT ON COLUMN signing_keys.sealed IS 'Private key or secret under the master key; bound to this table, row and column.';

CREATE UNLOGGED TABLE ceremonies (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    state bytea NOT NULL,
    expires_at timestamptz NOT NULL);
CREATE INDEX ceremonies_expires ON ceremonies (expires_at);
COMMENT ON TABLE ceremonies IS 'Ceremonies in flight. Unlogged: a crash loses pending ones, which fails closed, and a row that is gone can never be replayed.';

CREATE TABLE audit_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    user_id uuid,
    session_id uuid,
    client_id text,
    subject text,
    subject_name text,
    address_class text,
    request_id text,
    detail jsonb NOT NULL DEFAULT '{}');
CREATE INDEX audit_events_user ON audit_events (user_id, id);
COMMENT ON TABLE audit_events IS 'One event for each security effect, written in the statement or transaction that causes it. No foreign keys: it outlives what it tells of.';
COMMENT ON COLUMN audit_events.subject IS 'Id of the thing acted on.';
COMMENT ON COLUMN audit_events.subject_name IS 'Its name at that moment, so that a deletion can still be read.';
COMMENT ON COLUMN audit_events.address_class IS 'The /24 or /56 network the request came from; never the full address.';

CREATE TABLE changes (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    key text NOT NULL,
    at timestamptz NOT NULL DEFAULT now());
COMMENT ON TABLE changes IS 'What caches must forget: written in the changing transaction, polled by every server.';

CREATE TABLE servers (
    id uuid PRIMARY KEY,
    challenge_store text NOT NULL CHECK (challenge_store IN ('memory', 'database')),
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL);
COMMENT ON TABLE servers IS 'Live servers; two of them with challenges in memory would refuse each other''s ceremonies.';
