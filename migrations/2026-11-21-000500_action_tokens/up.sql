-- One-time permissions that trusted backends make for their people.

CREATE TABLE action_tokens (
    id uuid PRIMARY KEY,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    client_id text NOT NULL,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    action text NOT NULL CHECK (action IN ('enrol', 'sign_in', 'step_up', 'list', 'delete')),
    relying_party text NOT NULL,
    origin text,
    return_to text,
    over_existing boolean NOT NULL,
    external_source text,
    external_id text,
    epoch bigint NOT NULL,
    ceremonies smallint NOT NULL DEFAULT 0 CHECK (ceremonies BETWEEN 0 AND 5),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at AND expires_at <= created_at + interval '24 hours'),
    used_at timestamptz,
    revoked_at timestamptz,
    result_id uuid,
    redeemed_at timestamptz,
    CHECK (result_id IS NULL OR used_at IS NOT NULL),
    CHECK (redeemed_at IS NULL OR result_id IS NOT NULL),
    CHECK ((external_source IS NULL) = (external_id IS NULL)));
CREATE INDEX action_tokens_client ON action_tokens (client_id, created_at);
CREATE INDEX action_tokens_user ON action_tokens (user_id);
CREATE INDEX action_tokens_end ON action_tokens (expires_at);
COMMENT ON TABLE action_tokens IS 'What a backend permits once: one action of one of its people.';
COMMENT ON COLUMN action_tokens.digest IS 'SHA-256 of the token, which is not stored.';
COMMENT ON COLUMN action_tokens.origin IS 'The only origin that may use it; none: any of its client''s, and our own.';
COMMENT ON COLUMN action_tokens.return_to IS 'Where our page sends the person afterwards: one of the client''s redirect URIs.';
COMMENT ON COLUMN action_tokens.over_existing IS 'Whether it may enrol somebody who has a passkey.';
COMMENT ON COLUMN action_tokens.external_source IS 'With external_id: the name that the backend called the person by.';
COMMENT ON COLUMN action_tokens.epoch IS 'The person''s when it was made: what takes a way in from them takes this too.';
COMMENT ON COLUMN action_tokens.ceremonies IS 'How many were begun with it; counted by the statement that permits them.';
COMMENT ON COLUMN action_tokens.result_id IS 'The `jti` of the one result that its use gave.';
COMMENT ON COLUMN action_tokens.redeemed_at IS 'Set once, when its client redeemed the result.';
