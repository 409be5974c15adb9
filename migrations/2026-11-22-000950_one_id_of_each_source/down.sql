CREATE INDEX external_ids_user ON external_ids (user_id);
DROP INDEX external_ids_user_source;
COMMENT ON TABLE external_ids IS 'The names other systems know a person by.';
