-- Whatever is known of a passkey that cannot be used goes on with it: a later version must not take one for good that was
-- suspended as a copy. Nothing is rewritten.
ALTER TABLE unusable_passkeys
    ADD COLUMN user_verified boolean NOT NULL DEFAULT false,
    ADD COLUMN backup_eligible boolean,
    ADD COLUMN backup_state boolean,
    ADD COLUMN resident boolean,
    ADD COLUMN suspended_at timestamptz,
    ADD COLUMN suspended_reason text,
    ADD CONSTRAINT unusable_passkeys_flags_check CHECK (coalesce(backup_eligible, false) OR NOT coalesce(backup_state, false)),
    ADD CONSTRAINT unusable_passkeys_suspended_check CHECK (suspended_at IS NOT NULL OR suspended_reason IS NULL);
COMMENT ON COLUMN unusable_passkeys.backup_eligible IS 'NULL, as backup_state, when the system it came from did not keep the flags.';
