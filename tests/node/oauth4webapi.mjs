// oauth4webapi, with its discovery and its checks on, from the issuer URL to revocation.
// Prints the authorization URL, reads from stdin where the browser was sent.

import { createInterface } from "node:readline/promises";
import * as oauth from "oauth4webapi";

const [issuerUrl, clientId, method, secret, redirectUri] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const authentication = {
  none: () => oauth.None(),
  client_secret_basic: () => oauth.ClientSecretBasic(secret),
  client_secret_post: () => oauth.ClientSecretPost(secret),
}[method]();

const issuer = new URL(issuerUrl);
const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure }),
);
if (!server.code_challenge_methods_supported.includes("S256")) throw new Error("no S256");
const client = { client_id: clientId };
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const url = new URL(server.authorization_endpoint);
url.search = new URLSearchParams({
  response_type: "code",
  client_id: clientId,
  redirect_uri: redirectUri,
  scope: "profile offline_access",
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
});
console.log(url.href);

const input = createInterface({ input: process.stdin });
const { value: sentTo } = await input[Symbol.asyncIterator]().next();
input.close();
// Checks state, and iss as the metadata announces it (RFC 9207).
const answer = oauth.validateAuthResponse(server, client, new URL(sentTo), state);
const tokens = await oauth.processAuthorizationCodeResponse(
  server,
  client,
  await oauth.authorizationCodeGrantRequest(
    server, client, authentication, answer, redirectUri, verifier, insecure,
  ),
);
const api = (token) =>
  fetch(new URL("/api/me", issuer), { headers: { authorization: `Bearer ${token}` } });
const me = await (await api(tokens.access_token)).json();

const fresh = await oauth.processRefreshTokenResponse(
  server,
  client,
  await oauth.refreshTokenGrantRequest(server, client, authentication, tokens.refresh_token, insecure),
);
const afterRefresh = (await api(fresh.access_token)).status;

await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, authentication, fresh.refresh_token, insecure),
);
const afterRevocation = (await api(fresh.access_token)).status;

console.log(JSON.stringify({ name: me.name, afterRefresh, afterRevocation }));
