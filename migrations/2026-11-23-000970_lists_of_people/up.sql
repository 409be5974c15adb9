-- Administration lists people by when they came, and searches for how an address begins. Building the indexes holds up writes
-- to users. An index by patterns finds whole addresses as well, so it takes the place of the plain one.
CREATE INDEX users_newest ON users (created_at DESC, id DESC);
CREATE INDEX users_email_pattern ON users (lower(email) text_pattern_ops) WHERE email IS NOT NULL;
DROP INDEX users_email;
