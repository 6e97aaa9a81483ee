// An MCP client as its user has it, on the official SDK of the one generation or the other.
// It is told what to do by JSON lines, and answers each with one.

import { createInterface } from "node:readline/promises";

// v1 shakes hands first. v2 does as well unless it is told to look whether it need not.
const [kind, serverUrl, provided] = process.argv.slice(2);
const [generation, shaking] = kind.split("-");
const versionNegotiation = { mode: shaking ? "legacy" : "auto" };
// Nobody waits for one that hangs.
setTimeout(() => process.exit(1), 60_000).unref();

const sdk = Object.assign({}, ...(await Promise.all(
  {
    v1: [
      "@modelcontextprotocol/sdk/client/auth.js",
      "@modelcontextprotocol/sdk/client/index.js",
      "@modelcontextprotocol/sdk/client/streamableHttp.js",
    ],
    v2: ["@modelcontextprotocol/client"],
  }[generation].map((name) => import(name)),
)));
const { auth, Client, StreamableHTTPClientTransport, UnauthorizedError } = sdk;

// What it keeps, and what of that the SDK had it drop.
let kept = {};
let dropped = [];
const provider = {
  ...JSON.parse(provided),
  get redirectUrl() { return this.clientMetadata.redirect_uris[0]; },
  state: () => (kept.state = crypto.randomUUID()),
  redirectToAuthorization: (url) => { kept.url = url.href; },
  invalidateCredentials: (what) => {
    dropped.push(what);
    if (what === "all") kept = {};
    else delete kept[what];
  },
};
for (const [read, write, name] of [
  ["clientInformation", "saveClientInformation", "client"],
  ["tokens", "saveTokens", "tokens"],
  ["codeVerifier", "saveCodeVerifier", "verifier"],
  ["discoveryState", "saveDiscoveryState", "discovery"],
]) {
  provider[read] = () => kept[name];
  provider[write] = (value) => { kept[name] = value; };
}

const opened = () => new StreamableHTTPClientTransport(new URL(serverUrl), { authProvider: provider });
async function connected(transport) {
  const client = new Client({ name: "test", version: "1" }, { versionNegotiation });
  await client.connect(transport);
  return client;
}
const textOf = (result) => result.content[0].text;

let client, transport;

const does = {
  auth: async () => ({ result: await auth(provider, { serverUrl }), url: kept.url }),

  // What the browser brought back is given to the SDK: by hand, or through the transport.
  finish: async ({ sentTo, byHand }) => {
    const answer = new URL(sentTo).searchParams;
    if (answer.get("state") !== kept.state) throw new Error("not the state that was sent");
    const [authorizationCode, iss] = [answer.get("code"), answer.get("iss")];
    if (byHand) return { result: await auth(provider, { serverUrl, authorizationCode, iss }) };
    await transport.finishAuth(generation === "v1" ? authorizationCode : answer);
    return {};
  },

  call: async (what) => {
    // One that was refused has to be opened anew.
    client ??= await connected((transport = opened()));
    return { text: textOf(await client.callTool(what)) };
  },

  // Two of them with one storage, as two windows of one app.
  both: async (what) => {
    const two = await Promise.all([connected(opened()), connected(opened())]);
    const results = await Promise.all(two.map((one) => one.callTool(what)));
    await Promise.all(two.map((one) => one.close()));
    return { texts: results.map(textOf) };
  },

  forget: async ({ token }) => {
    delete kept.tokens[token];
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, ...what } = JSON.parse(line);
  dropped = [];
  let said;
  try {
    said = await does[name](what);
  } catch (error) {
    said = error instanceof UnauthorizedError
      ? { url: kept.url }
      : { error: String(error), code: error.code };
  }
  console.log(JSON.stringify({ ...said, dropped, tokens: kept.tokens, client: kept.client }));
}
await client?.close();
