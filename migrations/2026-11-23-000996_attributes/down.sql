COMMENT ON COLUMN users.attributes IS NULL;
ALTER TABLE users RENAME CONSTRAINT users_attributes_check TO users_claims_check;
ALTER TABLE users RENAME COLUMN attributes TO claims;
