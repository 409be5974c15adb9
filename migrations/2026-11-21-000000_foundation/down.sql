DROP TABLE servers, changes, audit_events, ceremonies, signing_keys, refresh_tokens, sessions, clients,
    retired_relying_parties, credential_index, credentials, group_members, groups, external_ids, users, installation;
