ALTER TABLE external_ids DROP COLUMN attributes_told_at;
