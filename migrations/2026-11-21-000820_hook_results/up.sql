CREATE TABLE hook_results (
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    hook text NOT NULL,
    result jsonb NOT NULL CHECK (jsonb_typeof(result) = 'object'),
    at timestamptz NOT NULL,
    PRIMARY KEY (user_id, hook));
COMMENT ON TABLE hook_results IS 'What hooks said after the last sign-in, for the person to read on their account page.';
COMMENT ON COLUMN hook_results.at IS 'When the sign-in was; what is said of an earlier one comes too late.';
