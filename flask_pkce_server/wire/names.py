"""Names: protocol values that several parts of the package use."""

from __future__ import annotations

#: The client authentication methods (RFC 7591 2).
AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")
#: RFC 7523 2.2: the client_assertion_type of private_key_jwt.
JWT_BEARER_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: RFC 8628 3.4: the grant_type of the device authorization grant.
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
#: RFC 8693 2.1: the grant_type of a token exchange.
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
