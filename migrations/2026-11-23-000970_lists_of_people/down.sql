CREATE INDEX users_email ON users (lower(email)) WHERE email IS NOT NULL;
DROP INDEX users_email_pattern;
DROP INDEX users_newest;
