-- The column was made with the table, and no server has ever read or written it: a new name harms none that still runs. Nothing
-- is rewritten or read through, whatever the size of the table.
ALTER TABLE users RENAME COLUMN claims TO attributes;
ALTER TABLE users RENAME CONSTRAINT users_claims_check TO users_attributes_check;
COMMENT ON COLUMN users.attributes IS 'What backends need to know of the person: name to text, whole number, boolean or list of texts.';
