CREATE INDEX credentials_user ON credentials (user_id);
DROP INDEX credentials_user_rp_id;
