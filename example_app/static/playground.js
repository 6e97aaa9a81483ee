// A public client in one file: the authorization code flow with PKCE, shown as it happens.

const root = document.getElementById("playground");
const steps = document.getElementById("steps");
const buttons = Object.fromEntries(
  ["start", "refresh", "replay", "revoke", "leave", "over"].map((id) => [id, document.getElementById(id)]),
);
const clientId = root.dataset.clientId;
const redirectUri = location.origin + location.pathname;
const kept = "playground";
let tokens = null;
let exchange = null;

function show(title, sentence, content, failed = false) {
  const step = document.createElement("li");
  step.className = failed ? "failed" : "";
  const heading = document.createElement("h2");
  heading.textContent = title;
  const text = document.createElement("p");
  text.textContent = sentence;
  const shown = document.createElement("pre");
  shown.textContent = typeof content === "string" ? content : JSON.stringify(content, null, 2);
  step.append(heading, text, shown);
  steps.append(step);
}

function offer(...names) {
  for (const [name, button] of Object.entries(buttons)) button.hidden = !names.includes(name);
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

async function challengeOf(verifier) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  return base64url(new Uint8Array(digest));
}

// How an RP checks an ID token: it finds the key that the header names, and checks the signature
// and then the claims that tie the token to this request.
async function readIdToken(text, server, asked) {
  const [head, body, signature] = text.split(".");
  const decode = (part) => Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const parse = (part) => JSON.parse(new TextDecoder().decode(decode(part)));
  const [header, claims] = [parse(head), parse(body)];
  const { keys } = await (await fetch(server.jwks_uri)).json();
  const rsa = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("jwk", keys.find((one) => one.kid === header.kid), rsa, false, ["verify"]);
  const signed = new TextEncoder().encode(`${head}.${body}`);
  const good =
    header.alg === "RS256" &&
    (await crypto.subtle.verify(rsa, key, decode(signature), signed)) &&
    claims.iss === server.issuer &&
    claims.aud === clientId &&
    claims.nonce === asked.nonce &&
    claims.exp > Date.now() / 1000;
  return { good, header, claims };
}

async function discover() {
  const answer = await fetch("/.well-known/openid-configuration");
  return answer.json();
}

async function post(url, form) {
  const answer = await fetch(url, { method: "POST", body: new URLSearchParams(form) });
  return { status: answer.status, ok: answer.ok, body: await answer.json() };
}

async function callApi() {
  const answer = await fetch("/api/me", { headers: { Authorization: `Bearer ${tokens.access_token}` } });
  const body = await answer.json();
  show("The API answers", `GET /api/me with the access token: ${answer.status}.`, body, !answer.ok);
}

async function start() {
  if (!globalThis.crypto?.subtle) {
    show("No WebCrypto here", "Browsers offer it only over https and on this computer's loopback address.", location.origin, true);
    return;
  }
  const server = await discover();
  const verifier = random();
  const state = random();
  const nonce = random();
  const challenge = await challengeOf(verifier);
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: root.dataset.scope,
    state,
    nonce,
    code_challenge: challenge,
    code_challenge_method: "S256",
  });
  sessionStorage.setItem(kept, JSON.stringify({ verifier, challenge, state, nonce, url: url.href, issuer: server.issuer }));
  showRequest({ verifier, challenge, url: url.href });
  location.assign(url);
}

function showRequest({ verifier, challenge, url }) {
  show("A secret for this one sign-in", "The code_verifier: 256 random bits. It stays in this browser until the code arrives.", verifier);
  show("Its fingerprint", "The code_challenge: BASE64URL(SHA-256(code_verifier)). Seeing it doesn't reveal the verifier.", challenge);
  show("Go to the server", "The browser opens the authorization endpoint with the challenge. You sign in and decide.", url);
}

async function finish(answer) {
  const asked = JSON.parse(sessionStorage.getItem(kept) ?? "null");
  sessionStorage.removeItem(kept);
  history.replaceState(null, "", location.pathname);
  if (!asked || answer.get("state") !== asked.state || answer.get("iss") !== asked.issuer) {
    show("Not our answer", "state or iss isn't what this browser expects, so it discards the answer.", Object.fromEntries(answer), true);
    offer("over");
    return;
  }
  showRequest(asked);
  if (answer.has("error")) {
    show("You denied access", "The answer names the error. state and iss match here too.", Object.fromEntries(answer), true);
    offer("over");
    return;
  }
  show("A code comes back", "It works once, within a minute, and is worthless without the verifier. state and iss match.", Object.fromEntries(answer));
  const server = await discover();
  exchange = {
    grant_type: "authorization_code",
    client_id: clientId,
    redirect_uri: redirectUri,
    code: answer.get("code"),
    code_verifier: asked.verifier,
  };
  show("Exchange code and verifier", `POST ${server.token_endpoint}`, exchange);
  const given = await post(server.token_endpoint, exchange);
  show("The tokens", `The server hashed the verifier and compared it with the challenge: ${given.status}.`, given.body, !given.ok);
  if (!given.ok) {
    offer("over");
    return;
  }
  tokens = given.body;
  const { good, header, claims } = await readIdToken(tokens.id_token, server, asked);
  show("Who signed in", "The ID token, verified with the JWKS key that its header names.", { header, claims }, !good);
  await callApi();
  offer("refresh", "replay", "revoke", "leave", "over");
}

async function refresh() {
  const server = await discover();
  const form = { grant_type: "refresh_token", client_id: clientId, refresh_token: tokens.refresh_token };
  const given = await post(server.token_endpoint, form);
  show("Refreshed", `You have new tokens, and the old refresh token no longer works: ${given.status}.`, given.body, !given.ok);
  if (given.ok) tokens = given.body;
  await callApi();
}

async function replay() {
  const server = await discover();
  const given = await post(server.token_endpoint, exchange);
  show("The code, again", `The code was used twice, so every token issued from it was revoked: ${given.status}.`, given.body, !given.ok);
  await callApi();
  offer("over");
}

async function revoke() {
  const server = await discover();
  const given = await post(server.revocation_endpoint, { client_id: clientId, token: tokens.refresh_token });
  show("Revoked", `POST ${server.revocation_endpoint}: ${given.status}. The access token was revoked too.`, given.body, !given.ok);
  await callApi();
  offer("over");
}

async function leave() {
  const server = await discover();
  const url = new URL(server.end_session_endpoint);
  url.search = new URLSearchParams({ id_token_hint: tokens.id_token, post_logout_redirect_uri: redirectUri });
  location.assign(url);
}

buttons.start.addEventListener("click", start);
buttons.refresh.addEventListener("click", refresh);
buttons.replay.addEventListener("click", replay);
buttons.revoke.addEventListener("click", revoke);
buttons.leave.addEventListener("click", leave);
buttons.over.addEventListener("click", () => location.assign(location.pathname));

const answer = new URLSearchParams(location.search);
if (answer.has("code") || answer.has("error")) {
  offer();
  await finish(answer);
}
