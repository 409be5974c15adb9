// The tables as the migrations make them; kept by `diesel print-schema`, checked against the database by the tests.

diesel::table! {
    installation (singleton) {
        singleton -> Bool,
        master_key_id -> Text,
        master_key_check -> Binary,
        created_at -> Timestamptz,
        purpose_root -> Nullable<Binary>,
    }
}

diesel::table! {
    users (id) {
        id -> Uuid,
        user_handle -> Binary,
        email -> Nullable<Text>,
        email_verified_at -> Nullable<Timestamptz>,
        name -> Nullable<Text>,
        profile -> Jsonb,
        locale -> Nullable<Text>,
        status -> Text,
        epoch -> BigInt,
        attributes -> Jsonb,
        managed_by -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    external_ids (source, external_id) {
        source -> Text,
        external_id -> Text,
        user_id -> Uuid,
        imported_as -> Nullable<Binary>,
        attributes_told_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    groups (id) {
        id -> Uuid,
        name -> Text,
        managed_by -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    group_members (group_id, user_id) {
        group_id -> Uuid,
        user_id -> Uuid,
    }
}

diesel::table! {
    credentials (id) {
        id -> Uuid,
        user_id -> Uuid,
        rp_id -> Text,
        credential_id -> Binary,
        user_handle -> Nullable<Binary>,
        passkey -> Jsonb,
        algorithm -> Integer,
        sign_count -> BigInt,
        user_verified -> Bool,
        backup_eligible -> Bool,
        backup_state -> Bool,
        transports -> Array<Text>,
        aaguid -> Nullable<Uuid>,
        resident -> Nullable<Bool>,
        attested -> Bool,
        name -> Text,
        created_at -> Timestamptz,
        last_used_at -> Nullable<Timestamptz>,
        suspended_at -> Nullable<Timestamptz>,
        suspended_reason -> Nullable<Text>,
        first_use_pending -> Bool,
        backup_flags_known -> Bool,
    }
}

diesel::table! {
    credential_index (rp_id, credential_id) {
        rp_id -> Text,
        credential_id -> Binary,
        user_id -> Uuid,
        credential -> Uuid,
    }
}

diesel::table! {
    retired_relying_parties (rp_id) {
        rp_id -> Text,
        retired_at -> Timestamptz,
        imported -> Bool,
    }
}

diesel::table! {
    unusable_passkeys (rp_id, credential_id) {
        rp_id -> Text,
        credential_id -> Binary,
        user_id -> Uuid,
        algorithm -> Integer,
        public_key -> Binary,
        user_handle -> Nullable<Binary>,
        sign_count -> BigInt,
        transports -> Array<Text>,
        aaguid -> Nullable<Uuid>,
        name -> Text,
        created_at -> Timestamptz,
        last_used_at -> Nullable<Timestamptz>,
        imported_at -> Timestamptz,
        user_verified -> Bool,
        backup_eligible -> Nullable<Bool>,
        backup_state -> Nullable<Bool>,
        resident -> Nullable<Bool>,
        suspended_at -> Nullable<Timestamptz>,
        suspended_reason -> Nullable<Text>,
    }
}

diesel::table! {
    removals (digest) {
        digest -> Binary,
        removed_at -> Timestamptz,
    }
}

diesel::table! {
    password_parameters (id) {
        id -> Text,
        source -> Text,
        sealed -> Binary,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    password_hashes (user_id) {
        user_id -> Uuid,
        hash -> Text,
        parameters -> Nullable<Text>,
        imported_at -> Timestamptz,
    }
}

diesel::table! {
    clients (id) {
        id -> Text,
        definition -> Jsonb,
        secret_digest -> Nullable<Binary>,
        managed_by -> Nullable<Text>,
        disabled_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        source -> Text,
        previous_secret_digest -> Nullable<Binary>,
        previous_secret_until -> Nullable<Timestamptz>,
        registration_token_digest -> Nullable<Binary>,
        fetch_again_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        token_digest -> Nullable<Binary>,
        client_id -> Nullable<Text>,
        credential -> Nullable<Uuid>,
        acr -> Text,
        amr -> Array<Text>,
        credential_class -> Nullable<Text>,
        auth_time -> Timestamptz,
        verified_at -> Timestamptz,
        created_at -> Timestamptz,
        last_seen_at -> Timestamptz,
        expires_at -> Timestamptz,
        ends_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
        user_agent -> Nullable<Text>,
        address_class -> Nullable<Text>,
        hook_claims -> Nullable<Jsonb>,
    }
}

diesel::table! {
    refresh_tokens (family) {
        family -> Uuid,
        user_id -> Uuid,
        session_id -> Uuid,
        client_id -> Text,
        scope -> Text,
        audience -> Array<Text>,
        leaf_digest -> Binary,
        leaf_key -> Text,
        leaf_issued_at -> Timestamptz,
        leaf_expires_at -> Timestamptz,
        previous_digest -> Nullable<Binary>,
        rotated_at -> Nullable<Timestamptz>,
        generation -> BigInt,
        created_at -> Timestamptz,
        ends_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
        revoked_reason -> Nullable<Text>,
        jkt -> Nullable<Text>,
        offline -> Bool,
        parent -> Nullable<Uuid>,
        borrows_session -> Bool,
        actor_grant -> Nullable<Uuid>,
        origin -> Nullable<Jsonb>,
    }
}

diesel::table! {
    signing_keys (kid) {
        kid -> Text,
        purpose -> Text,
        algorithm -> Text,
        sealed -> Binary,
        created_at -> Timestamptz,
        published_at -> Timestamptz,
        signs_from -> Timestamptz,
        retired_at -> Nullable<Timestamptz>,
        verifies_until -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    bridges (name) {
        name -> Text,
        definition -> Jsonb,
        enabled -> Bool,
        stopped_at -> Nullable<Timestamptz>,
        stopped_by -> Nullable<Text>,
        sealed_key -> Nullable<Binary>,
        key_kind -> Nullable<Text>,
        key_id -> Nullable<Text>,
        managed_by -> Nullable<Text>,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    ceremonies (digest) {
        digest -> Binary,
        state -> Binary,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    audit_events (id) {
        id -> BigInt,
        at -> Timestamptz,
        kind -> Text,
        user_id -> Nullable<Uuid>,
        session_id -> Nullable<Uuid>,
        client_id -> Nullable<Text>,
        subject -> Nullable<Text>,
        subject_name -> Nullable<Text>,
        address_class -> Nullable<Text>,
        request_id -> Nullable<Text>,
        detail -> Jsonb,
    }
}

diesel::table! {
    changes (seq) {
        seq -> BigInt,
        kind -> Text,
        key -> Text,
        at -> Timestamptz,
    }
}

diesel::table! {
    servers (id) {
        id -> Uuid,
        challenge_store -> Text,
        started_at -> Timestamptz,
        seen_at -> Timestamptz,
    }
}

diesel::table! {
    resources (identifier) {
        identifier -> Text,
        definition -> Jsonb,
        managed_by -> Nullable<Text>,
        disabled_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    pushed_requests (digest) {
        digest -> Binary,
        client_id -> Text,
        request -> Json,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    interactions (digest) {
        digest -> Binary,
        client_id -> Text,
        request -> Json,
        pushed -> Nullable<Binary>,
        chosen_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    authorization_codes (digest) {
        digest -> Binary,
        grant_id -> Uuid,
        client_id -> Text,
        user_id -> Uuid,
        session_id -> Uuid,
        request -> Json,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
        kept_until -> Timestamptz,
    }
}

diesel::table! {
    revoked_tokens (id) {
        id -> Uuid,
        until -> Timestamptz,
    }
}

diesel::table! {
    consents (user_id, client_id) {
        user_id -> Uuid,
        client_id -> Text,
        scope -> Text,
        resources -> Array<Text>,
        claims -> Array<Text>,
        granted_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    session_clients (session_id, client_id) {
        session_id -> Uuid,
        client_id -> Text,
        first_at -> Timestamptz,
    }
}

diesel::table! {
    used_jti (digest) {
        digest -> Binary,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    device_codes (digest) {
        digest -> Binary,
        user_code -> Text,
        grant_id -> Uuid,
        client_id -> Text,
        request -> Jsonb,
        address_class -> Nullable<Text>,
        poll_interval -> Integer,
        last_polled_at -> Nullable<Timestamptz>,
        claimed_by -> Nullable<Uuid>,
        user_id -> Nullable<Uuid>,
        session_id -> Nullable<Uuid>,
        decision -> Nullable<Text>,
        decided_at -> Nullable<Timestamptz>,
        used_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    device_guesses (id) {
        id -> BigInt,
        at -> Timestamptz,
        letters -> SmallInt,
        session_id -> Uuid,
        address_class -> Text,
    }
}

diesel::table! {
    forward_codes (digest) {
        digest -> Binary,
        host -> Text,
        state_digest -> Binary,
        session_id -> Uuid,
        user_id -> Uuid,
        destination -> Text,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    deleted_bridges (name) {
        name -> Text,
        deleted_at -> Timestamptz,
    }
}

diesel::table! {
    forward_sessions (digest) {
        digest -> Binary,
        host -> Text,
        session_id -> Uuid,
        user_id -> Uuid,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    initial_access_tokens (id) {
        id -> Uuid,
        digest -> Binary,
        name -> Text,
        policy -> Jsonb,
        uses_left -> Nullable<Integer>,
        expires_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    idempotency_keys (digest) {
        digest -> Binary,
        request_digest -> Binary,
        answer -> Jsonb,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    outbox (id) {
        id -> BigInt,
        kind -> Text,
        lane -> Text,
        payload -> Jsonb,
        attempts -> Integer,
        next_try_at -> Timestamptz,
        last_error -> Nullable<Text>,
        created_at -> Timestamptz,
        delivered_at -> Nullable<Timestamptz>,
        given_up_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    action_tokens (id) {
        id -> Uuid,
        digest -> Binary,
        client_id -> Text,
        user_id -> Uuid,
        action -> Text,
        relying_party -> Text,
        origin -> Nullable<Text>,
        return_to -> Nullable<Text>,
        over_existing -> Bool,
        external_source -> Nullable<Text>,
        external_id -> Nullable<Text>,
        epoch -> BigInt,
        ceremonies -> SmallInt,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
        result_id -> Nullable<Uuid>,
        redeemed_at -> Nullable<Timestamptz>,
        operation -> Nullable<Jsonb>,
        proved -> Nullable<Jsonb>,
    }
}

diesel::table! {
    event_receivers (kind, name) {
        kind -> Text,
        name -> Text,
        events -> Array<Text>,
        managed_by -> Nullable<Text>,
        disabled_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    hook_results (user_id, hook) {
        user_id -> Uuid,
        hook -> Text,
        result -> Jsonb,
        at -> Timestamptz,
    }
}

diesel::joinable!(credentials -> users (user_id));
diesel::joinable!(credential_index -> credentials (credential));
diesel::joinable!(sessions -> users (user_id));
diesel::joinable!(refresh_tokens -> sessions (session_id));
diesel::joinable!(session_clients -> sessions (session_id));
diesel::joinable!(forward_sessions -> sessions (session_id));
diesel::joinable!(consents -> users (user_id));
diesel::joinable!(group_members -> groups (group_id));
diesel::allow_tables_to_appear_in_same_query!(
    action_tokens,
    audit_events,
    authorization_codes,
    bridges,
    ceremonies,
    changes,
    clients,
    consents,
    credential_index,
    credentials,
    device_codes,
    device_guesses,
    event_receivers,
    external_ids,
    forward_codes,
    forward_sessions,
    group_members,
    groups,
    hook_results,
    idempotency_keys,
    initial_access_tokens,
    installation,
    interactions,
    outbox,
    password_hashes,
    password_parameters,
    pushed_requests,
    refresh_tokens,
    removals,
    resources,
    retired_relying_parties,
    revoked_tokens,
    servers,
    session_clients,
    sessions,
    signing_keys,
    unusable_passkeys,
    used_jti,
    users,
);
