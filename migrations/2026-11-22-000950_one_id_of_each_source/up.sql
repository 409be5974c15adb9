-- A system knows a person by one id. Where two were stored, an import is recognised by the one that it left its mark on; otherwise
-- the newest stays. Building the index holds up writes to external_ids, for a second or so a million links.
LOCK TABLE external_ids IN SHARE ROW EXCLUSIVE MODE;
DELETE FROM external_ids USING (
    SELECT source, external_id,
        row_number() OVER (PARTITION BY user_id, source ORDER BY imported_as IS NULL, age(xmin), ctid DESC) AS place
    FROM external_ids) AS ranked
WHERE ranked.place > 1 AND external_ids.source = ranked.source AND external_ids.external_id = ranked.external_id;
CREATE UNIQUE INDEX external_ids_user_source ON external_ids (user_id, source);
DROP INDEX external_ids_user;
COMMENT ON TABLE external_ids IS 'The names other systems know a person by: each system by one.';
