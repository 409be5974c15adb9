-- Secrets that are derived (successors of refresh tokens, decoys, form tokens) must outlive a change of the master key:
-- they hang on a random root of their own, which is sealed and is sealed anew with everything else.
ALTER TABLE installation ADD COLUMN purpose_root bytea;
COMMENT ON COLUMN installation.purpose_root IS '32 random bytes under the master key, from which purpose keys are derived; NULL until the first start that knows of it.';
