-- Who is signed out of an app keeps no tokens there that would bring the session back (OpenID Connect Back-Channel Logout 1.0 §2.7).
CREATE FUNCTION revoke_families(families uuid[], reason text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    revoked uuid[];
BEGIN
    WHILE cardinality(families) > 0 LOOP
        WITH gone AS (
            UPDATE refresh_tokens SET revoked_at = now(), revoked_reason = reason
            WHERE family = ANY (families) AND revoked_at IS NULL RETURNING family, session_id, borrows_session
        ), ended AS (
            UPDATE sessions SET revoked_at = now() FROM gone
            WHERE sessions.id = gone.session_id AND NOT gone.borrows_session
              AND sessions.token_digest IS NULL AND sessions.revoked_at IS NULL
        ), refused AS (
            -- Their access tokens live a day at most.
            INSERT INTO revoked_tokens (id, until) SELECT family, now() + interval '1 day' FROM gone ON CONFLICT DO NOTHING
        )
        SELECT coalesce(array_agg(family ORDER BY family), '{}') INTO revoked FROM gone;
        -- What was exchanged for their tokens, also what was begun until the lock was had: whoever begins one holds it.
        FOR i IN 1 .. cardinality(revoked) LOOP
            PERFORM pg_advisory_xact_lock(hashtextextended(revoked[i]::text, 0));
        END LOOP;
        SELECT coalesce(array_agg(family), '{}') INTO families FROM refresh_tokens
        WHERE (parent = ANY (revoked) OR actor_grant = ANY (revoked)) AND revoked_at IS NULL;
    END LOOP;
END $$;
COMMENT ON FUNCTION revoke_families IS 'Revokes refresh families with what was exchanged for their tokens, as the server does where it revokes one.';

CREATE OR REPLACE FUNCTION tell_clients_of_lost_group() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    families uuid[];
BEGIN
    WITH shut_out AS (
        -- Told once: with the row gone the end of the session says nothing more, and the next sign-in there writes it anew. No
        -- refresh gives an ID token of the session before that.
        DELETE FROM session_clients USING sessions, clients
        WHERE sessions.user_id = OLD.user_id AND sessions.revoked_at IS NULL AND session_clients.session_id = sessions.id
          AND clients.id = session_clients.client_id AND clients.disabled_at IS NULL
          AND clients.definition ? 'backchannel_logout_uri'
          AND jsonb_array_length(coalesce(clients.definition->'allowed_groups', '[]')) > 0
          AND NOT EXISTS (
              SELECT FROM group_members JOIN groups ON groups.id = group_id
              WHERE group_members.user_id = OLD.user_id AND clients.definition->'allowed_groups' ? groups.name)
        RETURNING session_clients.session_id, session_clients.client_id
    ), told AS (
        INSERT INTO outbox (kind, lane, payload, next_try_at, created_at)
        SELECT 'backchannel_logout', 'logout/' || session_id || '/' || client_id,
            jsonb_build_object('session', session_id, 'user', OLD.user_id, 'client', client_id), now(), now()
        FROM shut_out ORDER BY session_id, client_id
    )
    SELECT coalesce(array_agg(family), '{}') INTO families FROM refresh_tokens JOIN shut_out USING (session_id, client_id)
    WHERE revoked_at IS NULL AND NOT offline;
    PERFORM revoke_families(families, 'the person left the last group that the app is for');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION tell_clients_of_lost_group IS 'Puts a back-channel logout into the outbox for each app that somebody may not use any more, and revokes what it could refresh in the session.';
