-- Every sign-in reads its person's passkeys of one RP id. Before a table's first statistics PostgreSQL put the indexes of both
-- columns together for that, and so read all passkeys of the RP id. Building the index holds up writes to credentials.
CREATE INDEX credentials_user_rp_id ON credentials (user_id, rp_id);
DROP INDEX credentials_user;
