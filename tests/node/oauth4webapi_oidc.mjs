// oauth4webapi as a relying party, with all its checks on, from the issuer URL to the logout.
// Prints the authorization URL, reads from stdin where the browser was sent.

import { createInterface } from "node:readline/promises";
import * as oauth from "oauth4webapi";

const [issuerUrl, clientId, method, secret, redirectUri, afterLogout] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const authentication = {
  none: () => oauth.None(),
  client_secret_basic: () => oauth.ClientSecretBasic(secret),
  client_secret_post: () => oauth.ClientSecretPost(secret),
}[method]();

const issuer = new URL(issuerUrl);
const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: "oidc", ...insecure }),
);
const client = { client_id: clientId, require_auth_time: true };
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const nonce = oauth.generateRandomNonce();
const url = new URL(server.authorization_endpoint);
url.search = new URLSearchParams({
  response_type: "code",
  client_id: clientId,
  redirect_uri: redirectUri,
  scope: "openid profile offline_access",
  prompt: "consent",
  state,
  nonce,
  max_age: "600",
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
});
console.log(url.href);

const input = createInterface({ input: process.stdin });
const { value: sentTo } = await input[Symbol.asyncIterator]().next();
input.close();
const answer = oauth.validateAuthResponse(server, client, new URL(sentTo), state);
const tokenResponse = await oauth.authorizationCodeGrantRequest(
  server, client, authentication, answer, redirectUri, verifier, insecure,
);
const tokens = await oauth.processAuthorizationCodeResponse(server, client, tokenResponse, {
  expectedNonce: nonce,
  maxAge: 600,
  requireIdToken: true,
});
// TLS would vouch for the ID token; here it is the keys at jwks_uri.
await oauth.validateApplicationLevelSignature(server, tokenResponse, insecure);
const claims = oauth.getValidatedIdTokenClaims(tokens);
const userOf = async (token, subject) =>
  oauth.processUserInfoResponse(
    server, client, subject, await oauth.userInfoRequest(server, client, token, insecure),
  );
const user = await userOf(tokens.access_token, claims.sub);

const refreshResponse = await oauth.refreshTokenGrantRequest(
  server, client, authentication, tokens.refresh_token, insecure,
);
const fresh = await oauth.processRefreshTokenResponse(server, client, refreshResponse);
await oauth.validateApplicationLevelSignature(server, refreshResponse, insecure);
const freshClaims = oauth.getValidatedIdTokenClaims(fresh);

const logout = new URL(server.end_session_endpoint);
logout.search = new URLSearchParams({
  id_token_hint: fresh.id_token,
  post_logout_redirect_uri: afterLogout,
  state: "left",
});
console.log(JSON.stringify({
  claims,
  user,
  freshClaims,
  freshUser: await userOf(fresh.access_token, freshClaims.sub),
  rotated: fresh.refresh_token !== tokens.refresh_token,
  logout: logout.href,
}));
