-- Systems that custom tokens are minted for. A new table: nothing is locked, and older servers do not look at it.
CREATE TABLE bridges (
    name text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    definition jsonb NOT NULL CHECK (jsonb_typeof(definition) = 'object'),
    enabled boolean NOT NULL,
    stopped_at timestamptz,
    stopped_by text,
    sealed_key bytea,
    key_kind text,
    key_id text,
    managed_by text,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK ((sealed_key IS NULL) = (key_kind IS NULL) AND (sealed_key IS NULL) = (key_id IS NULL)),
    CHECK ((stopped_at IS NULL) = (stopped_by IS NULL)));
COMMENT ON TABLE bridges IS 'Systems that custom tokens are minted for.';
COMMENT ON COLUMN bridges.definition IS 'What the bridge is, in the words of the configuration; never key material.';
COMMENT ON COLUMN bridges.enabled IS 'What its declaration says; false also when the configuration no longer declares it.';
COMMENT ON COLUMN bridges.stopped_at IS 'Set by the emergency stop, which outlives restarts and any declaration.';
COMMENT ON COLUMN bridges.sealed_key IS 'An imported key, sealed under the master key.';
COMMENT ON COLUMN bridges.key_id IS 'The imported key''s public name, to be shown.';
COMMENT ON COLUMN bridges.version IS 'Rises with every change.';
