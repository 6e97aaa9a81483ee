"""The tables of the floor."""

TABLES = (
    """CREATE TABLE users (
        id BIGINT PRIMARY KEY, username TEXT UNIQUE, password BYTEA, name TEXT, email TEXT)""",
    """CREATE TABLE clients (
        id TEXT PRIMARY KEY, secret BYTEA, redirect_uris TEXT[], scopes TEXT[])""",
    """CREATE TABLE codes (
        digest BYTEA PRIMARY KEY, grant_id BYTEA NOT NULL, client_id TEXT NOT NULL,
        user_id BIGINT NOT NULL, redirect_uri TEXT NOT NULL, challenge TEXT NOT NULL,
        scope TEXT NOT NULL, nonce TEXT, auth_time BIGINT NOT NULL,
        expires_at BIGINT NOT NULL, consumed_at BIGINT)""",
    """CREATE TABLE tokens (
        digest BYTEA PRIMARY KEY, refresh BOOLEAN NOT NULL, grant_id BYTEA NOT NULL,
        client_id TEXT NOT NULL, user_id BIGINT NOT NULL, scope TEXT NOT NULL,
        expires_at BIGINT NOT NULL, consumed_at BIGINT, revoked_at BIGINT)""",
    "CREATE INDEX ON tokens (grant_id)",
    "CREATE INDEX ON tokens (expires_at)",
    "CREATE INDEX ON codes (expires_at)",
)
