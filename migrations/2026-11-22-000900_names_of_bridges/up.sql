-- The address of a bridge's key set is made of its name, and who trusts it may follow it still when the bridge is gone.
CREATE TABLE deleted_bridges (
    name text PRIMARY KEY,
    deleted_at timestamptz NOT NULL);
COMMENT ON TABLE deleted_bridges IS 'Names of bridges that there were: another one of the same name is made by who signed in just now, and not by a program.';
