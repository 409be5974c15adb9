-- Nullable and without a default: nothing is rewritten or read through, and servers that do not know it go on.
ALTER TABLE external_ids ADD COLUMN attributes_told_at timestamptz;
COMMENT ON COLUMN external_ids.attributes_told_at IS
    'When the newest token was issued (iat) that told attributes of the person under this id: an older one changes none.';
