DROP INDEX sessions_client;
DROP INDEX session_clients_client;
DROP INDEX consents_client;
DROP INDEX device_codes_client;
DROP INDEX authorization_codes_client;
DROP INDEX refresh_tokens_client;
