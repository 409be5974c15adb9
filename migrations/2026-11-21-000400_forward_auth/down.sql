COMMENT ON COLUMN signing_keys.purpose IS '`tokens` (published), `refresh` (never published), `bridge:<name>`.';
-- An older server knows no such key.
DELETE FROM signing_keys WHERE purpose = 'forward';
DROP TABLE forward_sessions;
DROP TABLE forward_codes;
