DELETE FROM action_tokens WHERE action = 'sign';
ALTER TABLE action_tokens DROP CONSTRAINT action_tokens_signs;
ALTER TABLE action_tokens DROP CONSTRAINT action_tokens_action_check;
ALTER TABLE action_tokens ADD CONSTRAINT action_tokens_action_check
    CHECK (action IN ('enrol', 'sign_in', 'step_up', 'list', 'delete'));
ALTER TABLE action_tokens DROP COLUMN operation, DROP COLUMN proved;
