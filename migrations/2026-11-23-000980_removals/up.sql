-- What was removed here stays removed: an import looks here before it brings a passkey or a person of another system.
CREATE TABLE removals (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    removed_at timestamptz NOT NULL);
COMMENT ON TABLE removals IS 'Passkeys that were removed here, and what other systems called people who were deleted here: an import leaves them out.';
COMMENT ON COLUMN removals.digest IS 'SHA-256 of what was removed; nothing else of it is kept.';
