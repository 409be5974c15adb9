-- A source may tell of a person in several files, such as people in one and password hashes in another. Each has an entry of its
-- own, so that one does not make the other look changed. The check reads the table once; nothing is rewritten.
ALTER TABLE external_ids DROP CONSTRAINT external_ids_imported_as_check,
    ADD CONSTRAINT external_ids_imported_as_check CHECK (octet_length(imported_as) = 16
        OR (octet_length(imported_as) BETWEEN 17 AND 255 AND octet_length(imported_as) % 17 = 0));
COMMENT ON COLUMN external_ids.imported_as IS 'What was imported last of each kind of file: its number and a digest of 16 bytes, one after the other; the digest alone where no kind was kept. The same record again changes nothing. NULL for a link that was made otherwise.';
