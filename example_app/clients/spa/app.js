// A single-page app on its own origin: a public client without framework or library.
//
// Register it once:
//
//   flask --app example_app pkce client create --name spa --type public \
//       --client-id spa --redirect-uri http://localhost:5173/
//
// Then, with the demo running:
//
//   python -m http.server 5173 --bind 127.0.0.1 --directory example_app/clients/spa
//
// and open http://localhost:5173/. For another server, change the two constants.
//
// Tokens are only in memory: a reload signs the user out of the app, not of the server.

// Not from the URL: whoever wrote the link would choose who gets the code.
const ISSUER = "http://127.0.0.1:5000/";
const CLIENT_ID = "spa";

// RFC 8414 3.1: without the slash that an issuer may end with.
const address = ISSUER.replace(/\/$/, "");
const redirectUri = location.origin + "/";
const query = new URLSearchParams(location.search);
const out = document.getElementById("out");
let tokens = null;

const say = (value) => {
  out.textContent = typeof value === "string" ? value : JSON.stringify(value, null, 2);
};

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function json(url, options) {
  const answer = await fetch(url, options);
  const body = await answer.json();
  if (!answer.ok) throw new Error(`${body.error}: ${body.error_description}`);
  return body;
}

async function discover() {
  const server = await json(`${address}/.well-known/oauth-authorization-server`);
  // RFC 8414 3.3: another issuer's document must not be used.
  if (server.issuer !== ISSUER) throw new Error("This server has another issuer.");
  for (const name of ["authorization_endpoint", "token_endpoint", "revocation_endpoint"]) {
    // A javascript: URL would run in this page.
    if (!isSafe(new URL(server[name]))) throw new Error(`The ${name} is not an https URL.`);
  }
  return server;
}

const isSafe = (url) =>
  url.protocol === "https:" ||
  (url.protocol === "http:" && ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname));

const post = (url, form) =>
  json(url, { method: "POST", body: new URLSearchParams({ client_id: CLIENT_ID, ...form }) });

async function signIn() {
  const server = await discover();
  const [verifier, state] = [random(), random()];
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  sessionStorage.setItem("asked", JSON.stringify({ verifier, state }));
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: CLIENT_ID,
    redirect_uri: redirectUri,
    scope: "profile offline_access",
    state,
    code_challenge: base64url(new Uint8Array(digest)),
    code_challenge_method: "S256",
  });
  location.assign(url);
}

async function comeBack() {
  const asked = JSON.parse(sessionStorage.getItem("asked") ?? "null");
  sessionStorage.removeItem("asked");
  history.replaceState(null, "", "/");
  // RFC 9207 2.4: this server always sends iss, so an answer without it comes from elsewhere.
  if (!asked || query.get("state") !== asked.state || query.get("iss") !== ISSUER) {
    throw new Error("This answer does not belong to this page's request.");
  }
  if (query.has("error")) throw new Error(query.get("error"));
  const server = await discover();
  tokens = await post(server.token_endpoint, {
    grant_type: "authorization_code",
    redirect_uri: redirectUri,
    code: query.get("code"),
    code_verifier: asked.verifier,
  });
  await callApi();
}

async function callApi() {
  const headers = { Authorization: `Bearer ${tokens.access_token}` };
  say(await json(`${address}/api/me`, { headers }));
}

async function refresh() {
  const server = await discover();
  tokens = await post(server.token_endpoint, {
    grant_type: "refresh_token",
    refresh_token: tokens.refresh_token,
  });
  say("Refreshed.");
}

async function signOut() {
  const server = await discover();
  await post(server.revocation_endpoint, { token: tokens.refresh_token });
  tokens = null;
  say("Signed out.");
}

function on(id, action) {
  document.getElementById(id).addEventListener("click", () => attempt(action));
}

async function attempt(action) {
  try {
    await action();
  } catch (error) {
    say(String(error));
  }
  document.getElementById("sign-in").hidden = tokens !== null;
  for (const id of ["call", "refresh", "sign-out"]) {
    document.getElementById(id).hidden = tokens === null;
  }
}

on("sign-in", signIn);
on("call", callApi);
on("refresh", refresh);
on("sign-out", signOut);
if (query.has("state")) await attempt(comeBack);
