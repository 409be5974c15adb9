CREATE OR REPLACE FUNCTION tell_clients_of_lost_group() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH shut_out AS (
        -- Told once: with the row gone the end of the session says nothing more, and the next sign-in there writes it anew.
        DELETE FROM session_clients USING sessions, clients
        WHERE sessions.user_id = OLD.user_id AND sessions.revoked_at IS NULL AND session_clients.session_id = sessions.id
          AND clients.id = session_clients.client_id AND clients.disabled_at IS NULL
          AND clients.definition ? 'backchannel_logout_uri'
          AND jsonb_array_length(coalesce(clients.definition->'allowed_groups', '[]')) > 0
          AND NOT EXISTS (
              SELECT FROM group_members JOIN groups ON groups.id = group_id
              WHERE group_members.user_id = OLD.user_id AND clients.definition->'allowed_groups' ? groups.name)
        RETURNING session_clients.session_id, session_clients.client_id
    )
    INSERT INTO outbox (kind, lane, payload, next_try_at, created_at)
    SELECT 'backchannel_logout', 'logout/' || session_id || '/' || client_id,
        jsonb_build_object('session', session_id, 'user', OLD.user_id, 'client', client_id), now(), now()
    FROM shut_out ORDER BY session_id, client_id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION tell_clients_of_lost_group IS 'Puts a back-channel logout into the outbox for each app that somebody may not use any more.';
DROP FUNCTION revoke_families(uuid[], text);
