UPDATE external_ids SET imported_as = substring(imported_as FROM 2 FOR 16) WHERE octet_length(imported_as) > 16;
ALTER TABLE external_ids DROP CONSTRAINT external_ids_imported_as_check,
    ADD CONSTRAINT external_ids_imported_as_check CHECK (octet_length(imported_as) = 16);
COMMENT ON COLUMN external_ids.imported_as IS 'Digest of the record that was imported last: the same record again changes nothing. NULL for a link that was made otherwise.';
