DROP TABLE password_hashes, password_parameters, unusable_passkeys;
COMMENT ON TABLE retired_relying_parties IS 'RP ids whose passkeys were given up on purpose; any other RP id that is stored but not configured stops the start.';
ALTER TABLE retired_relying_parties DROP COLUMN imported;
ALTER TABLE external_ids DROP COLUMN imported_as;
COMMENT ON COLUMN credentials.sign_count IS 'Unsigned 32 bits, so wider than integer. Never decreases.';
ALTER TABLE credentials DROP CONSTRAINT credentials_flags_check, DROP COLUMN backup_flags_known, DROP COLUMN first_use_pending;
