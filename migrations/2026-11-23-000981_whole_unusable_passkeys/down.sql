ALTER TABLE unusable_passkeys
    DROP COLUMN user_verified,
    DROP COLUMN backup_eligible,
    DROP COLUMN backup_state,
    DROP COLUMN resident,
    DROP COLUMN suspended_at,
    DROP COLUMN suspended_reason;
