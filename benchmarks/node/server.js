// node-oidc-provider with a PostgreSQL adapter, in two processes. `node server.js fill` creates
// the tables and the user first.

import cluster from 'node:cluster';
import crypto from 'node:crypto';
import http from 'node:http';

import Provider from 'oidc-provider';

import { Adapter, TABLES, findUser, pool } from './adapter.js';

const SCOPES = ['openid', 'profile', 'offline_access'];
const WORKERS = 2;

function configuration() {
  const { REDIRECT_URI, SECRET, SECRET_KEY, SIGNING_KEY } = process.env;
  const client = {
    redirect_uris: [REDIRECT_URI],
    grant_types: ['authorization_code', 'refresh_token'],
  };
  const key = crypto.createPrivateKey(SIGNING_KEY).export({ format: 'jwk' });
  return {
    adapter: Adapter,
    clients: [
      { ...client, client_id: 'public', token_endpoint_auth_method: 'none' },
      { ...client, client_id: 'confidential', client_secret: SECRET },
      {
        client_id: 'resource-server',
        client_secret: SECRET,
        redirect_uris: [],
        response_types: [],
        grant_types: [],
      },
    ],
    jwks: { keys: [{ ...key, kid: '1', use: 'sig', alg: 'RS256' }] },
    cookies: { keys: [SECRET_KEY] },
    scopes: SCOPES,
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'] },
    features: { devInteractions: { enabled: false }, introspection: { enabled: true } },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    pkce: { required: () => true },
    // As the other targets do: a refresh token for each code, and no look at the session.
    issueRefreshToken: async (ctx, asking) => asking.grantTypeAllowed('refresh_token'),
    expiresWithSession: async () => false,
    async findAccount(ctx, id) {
      const user = await findUser(id);
      if (user === undefined) return undefined;
      const claims = { sub: id, name: user.name, preferred_username: user.username };
      return { accountId: id, claims: async () => claims };
    },
  };
}

// The sign-in and the consent: the user is Ada, and allows everything.
async function interact(provider, request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  let result = { login: { accountId: '1' } };
  if (prompt.name === 'consent') {
    const grant = grantId
      ? await provider.Grant.find(grantId)
      : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(SCOPES.join(' '));
    result = { consent: { grantId: await grant.save() } };
  }
  await provider.interactionFinished(request, response, result, {
    mergeWithLastSubmission: true,
  });
}

// The guarded view, which reads the user of the token.
async function answerMe(provider, request, response) {
  const [scheme, text] = (request.headers.authorization ?? '').split(' ');
  const token = scheme === 'Bearer' ? await provider.AccessToken.find(text) : undefined;
  const user = token?.isValid && token.scopes.has('profile')
    ? await findUser(token.accountId)
    : undefined;
  if (user === undefined) {
    response.statusCode = 401;
    response.setHeader('WWW-Authenticate', 'Bearer error="invalid_token"');
    response.end();
    return;
  }
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify({ username: user.username, name: user.name, email: user.email }));
}

function serve() {
  const provider = new Provider(process.env.ISSUER, configuration());
  const answer = provider.callback();
  http
    .createServer((request, response) => {
      if (request.url === '/api/me') answerMe(provider, request, response);
      else if (request.url.startsWith('/interaction/')) interact(provider, request, response);
      else answer(request, response);
    })
    .listen(Number(process.env.PORT), '127.0.0.1');
}

if (process.argv[2] === 'fill') {
  for (const statement of TABLES) await pool.query(statement);
  await pool.query("INSERT INTO users VALUES (1, 'ada', 'Ada', 'ada@example.com')");
  await pool.end();
} else if (cluster.isPrimary) {
  for (let number = 0; number < WORKERS; number += 1) cluster.fork();
} else {
  serve();
}
