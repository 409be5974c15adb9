DROP INDEX credentials_rp_id;
