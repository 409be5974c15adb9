-- People and passkeys that come from other systems: what is not known of them yet, and what cannot be used (yet).

ALTER TABLE credentials
    ADD COLUMN first_use_pending boolean NOT NULL DEFAULT false,
    ADD COLUMN backup_flags_known boolean NOT NULL DEFAULT true,
    ADD CONSTRAINT credentials_flags_check CHECK (first_use_pending OR backup_flags_known);
COMMENT ON COLUMN credentials.sign_count IS 'Unsigned 32 bits, so wider than integer. Never decreases, but for the first assertion of an imported passkey, which sets it.';
COMMENT ON COLUMN credentials.first_use_pending IS 'Imported, and not used here yet: the first assertion sets counter and flags, later ones are held to them.';
COMMENT ON COLUMN credentials.backup_flags_known IS 'False when the system it came from did not keep them; known from the first assertion on.';

ALTER TABLE external_ids ADD COLUMN imported_as bytea CHECK (octet_length(imported_as) = 16);
COMMENT ON COLUMN external_ids.imported_as IS 'Digest of the record that was imported last: the same record again changes nothing. NULL for a link that was made otherwise.';

ALTER TABLE retired_relying_parties ADD COLUMN imported boolean NOT NULL DEFAULT false;
COMMENT ON TABLE retired_relying_parties IS 'RP ids whose passkeys sign nobody in on purpose: given up, or imported before they were configured. Any other RP id that is stored but not configured stops the start. Configured (again), an RP id leaves this table.';
COMMENT ON COLUMN retired_relying_parties.imported IS 'Its passkeys came by import and wait for the RP id to be configured.';

CREATE TABLE unusable_passkeys (
    rp_id text NOT NULL,
    credential_id bytea NOT NULL CHECK (octet_length(credential_id) BETWEEN 16 AND 1023),
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    algorithm integer NOT NULL,
    public_key bytea NOT NULL CHECK (octet_length(public_key) BETWEEN 1 AND 8192),
    user_handle bytea CHECK (octet_length(user_handle) BETWEEN 1 AND 64),
    sign_count bigint NOT NULL DEFAULT 0 CHECK (sign_count BETWEEN 0 AND 4294967295),
    transports text[] NOT NULL DEFAULT '{}',
    aaguid uuid,
    name text NOT NULL CHECK (octet_length(name) <= 256),
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    imported_at timestamptz NOT NULL,
    PRIMARY KEY (rp_id, credential_id));
CREATE INDEX unusable_passkeys_user ON unusable_passkeys (user_id);
COMMENT ON TABLE unusable_passkeys IS 'Imported passkeys whose algorithm is not supported: kept for the export and for a later version, and shown to their owner as one to make anew.';
COMMENT ON COLUMN unusable_passkeys.public_key IS 'COSE_Key as it came.';

CREATE TABLE password_parameters (
    id text PRIMARY KEY,
    source text NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL);
COMMENT ON TABLE password_parameters IS 'What all password hashes of one project need beside themselves (Firebase''s signer key), under the master key.';
COMMENT ON COLUMN password_parameters.id IS 'Names the parameters in each hash (`ks`): derived from them one-way.';

CREATE TABLE password_hashes (
    user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    hash text NOT NULL CHECK (octet_length(hash) BETWEEN 1 AND 1024),
    parameters text REFERENCES password_parameters,
    imported_at timestamptz NOT NULL);
CREATE INDEX password_hashes_parameters ON password_hashes (parameters) WHERE parameters IS NOT NULL;
COMMENT ON TABLE password_hashes IS 'Passwords as another system hashed them; nothing signs in by them yet.';
COMMENT ON COLUMN password_hashes.hash IS 'PHC string, modular crypt form of bcrypt, or one of our own: $fbscrypt$, $bascrypt$.';
