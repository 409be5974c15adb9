ALTER TABLE installation DROP COLUMN purpose_root;
