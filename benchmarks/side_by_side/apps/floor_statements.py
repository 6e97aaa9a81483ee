"""The statements of the floor. Each finds its row by the primary key."""

FIND_USER = "SELECT id, password FROM users WHERE username = %(username)s"

CLIENT_AND_USER = """
SELECT redirect_uris, scopes FROM clients, users
WHERE clients.id = %(client)s AND users.id = %(user)s"""

ADD_CODE = """
INSERT INTO codes (digest, grant_id, client_id, user_id, redirect_uri, challenge, scope, nonce,
    auth_time, expires_at)
VALUES (%(code)s, %(code)s, %(client)s, %(user)s, %(uri)s, %(challenge)s, %(scope)s, %(nonce)s,
    %(auth_time)s, %(expires_at)s)"""

#: The client is authenticated, and the verifier checked, in the condition.
CONSUME_CODE = """
UPDATE codes SET consumed_at = %(now)s FROM clients
WHERE digest = %(code)s AND consumed_at IS NULL AND expires_at > %(now)s
    AND challenge = %(challenge)s AND redirect_uri = %(uri)s
    AND client_id = %(client)s AND clients.id = client_id
    AND secret IS NOT DISTINCT FROM %(secret)s::bytea
RETURNING grant_id, user_id, scope, nonce, auth_time"""

REVOKE_BY_CODE = """
UPDATE tokens SET revoked_at = %(now)s WHERE grant_id = (
    SELECT grant_id FROM codes
    WHERE digest = %(code)s AND client_id = %(client)s AND consumed_at IS NOT NULL)"""

CONSUME_REFRESH_TOKEN = """
UPDATE tokens SET consumed_at = %(now)s FROM clients
WHERE digest = %(token)s AND refresh AND consumed_at IS NULL AND revoked_at IS NULL
    AND expires_at > %(now)s AND client_id = %(client)s AND clients.id = client_id
    AND secret IS NOT DISTINCT FROM %(secret)s::bytea
RETURNING grant_id, user_id, scope, NULL, NULL"""

REVOKE_BY_REFRESH_TOKEN = """
UPDATE tokens SET revoked_at = %(now)s WHERE grant_id = (
    SELECT grant_id FROM tokens
    WHERE digest = %(token)s AND client_id = %(client)s AND consumed_at IS NOT NULL)"""

ADD_TOKENS = """
INSERT INTO tokens (digest, refresh, grant_id, client_id, user_id, scope, expires_at)
VALUES (%(access_token)s, FALSE, %(grant)s, %(client)s, %(user)s, %(scope)s, %(access_until)s),
    (%(refresh_token)s, TRUE, %(grant)s, %(client)s, %(user)s, %(scope)s, %(refresh_until)s)"""

#: One row if the client is who it says, with NULLs if the token is not active.
INTROSPECT = """
SELECT tokens.client_id, tokens.user_id, tokens.scope, tokens.expires_at
FROM clients LEFT JOIN tokens ON tokens.digest = %(token)s AND tokens.expires_at > %(now)s
    AND tokens.revoked_at IS NULL AND tokens.consumed_at IS NULL
WHERE clients.id = %(client)s AND clients.secret = %(secret)s"""

USER_OF_TOKEN = """
SELECT users.id, username, name, email, scope FROM tokens JOIN users ON users.id = user_id
WHERE digest = %(token)s AND NOT refresh AND expires_at > %(now)s AND revoked_at IS NULL"""
