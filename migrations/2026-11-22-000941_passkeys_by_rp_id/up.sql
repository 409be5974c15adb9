-- Every start looks which RP ids passkeys are stored for. With millions of them, that must not mean to read them all.
CREATE INDEX credentials_rp_id ON credentials (rp_id);
