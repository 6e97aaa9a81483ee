// openid-client, with its discovery and its checks on, from the issuer URL to the logout.
// Prints the authorization URL, reads from stdin where the browser was sent.

import { createInterface } from "node:readline/promises";
import * as client from "openid-client";

const [issuerUrl, clientId, method, secret, redirectUri, afterLogout] = process.argv.slice(2);
const authentication = {
  none: () => client.None(),
  client_secret_basic: () => client.ClientSecretBasic(secret),
  client_secret_post: () => client.ClientSecretPost(secret),
}[method]();

const config = await client.discovery(new URL(issuerUrl), clientId, {}, authentication, {
  algorithm: "oidc",
  // Loopback has no TLS. And signatures are checked, though TLS would vouch for them.
  execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
});
if (!config.serverMetadata().supportsPKCE("S256")) throw new Error("no S256");
const pkceCodeVerifier = client.randomPKCECodeVerifier();
const expectedState = client.randomState();
const expectedNonce = client.randomNonce();
const url = client.buildAuthorizationUrl(config, {
  redirect_uri: redirectUri,
  scope: "openid profile offline_access",
  prompt: "consent",
  state: expectedState,
  nonce: expectedNonce,
  max_age: "600",
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: "S256",
});
console.log(url.href);

const input = createInterface({ input: process.stdin });
const { value: sentTo } = await input[Symbol.asyncIterator]().next();
input.close();
// Checks state and iss; of the ID token the signature, iss, aud, exp, nonce and auth_time.
const tokens = await client.authorizationCodeGrant(config, new URL(sentTo), {
  pkceCodeVerifier,
  expectedState,
  expectedNonce,
  maxAge: 600,
  idTokenExpected: true,
});
const claims = tokens.claims();
const user = await client.fetchUserInfo(config, tokens.access_token, claims.sub);

const fresh = await client.refreshTokenGrant(config, tokens.refresh_token);
const freshUser = await client.fetchUserInfo(config, fresh.access_token, fresh.claims().sub);

const logout = client.buildEndSessionUrl(config, {
  id_token_hint: fresh.id_token,
  post_logout_redirect_uri: afterLogout,
  state: "left",
});
console.log(JSON.stringify({
  claims,
  user,
  freshClaims: fresh.claims(),
  freshUser,
  rotated: fresh.refresh_token !== tokens.refresh_token,
  logout: logout.href,
}));
