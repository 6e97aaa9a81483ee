// Where oidc-provider keeps what it issues: one PostgreSQL table, one row for each code, token,
// session or grant. The methods are those that its documentation asks an adapter for.

import pg from 'pg';

const url = new URL(process.env.DATABASE);
url.searchParams.delete('sslmode');
export const pool = new pg.Pool({ connectionString: url.href, ssl: false });

export const TABLES = [
  `CREATE TABLE users (
    id BIGINT PRIMARY KEY, username TEXT UNIQUE, name TEXT, email TEXT)`,
  `CREATE TABLE models (
    kind TEXT, id TEXT, payload JSONB NOT NULL, grant_id TEXT, uid TEXT, user_code TEXT,
    expires_at TIMESTAMPTZ, consumed_at TIMESTAMPTZ, PRIMARY KEY (kind, id))`,
  'CREATE INDEX ON models (grant_id) WHERE grant_id IS NOT NULL',
  'CREATE INDEX ON models (uid) WHERE uid IS NOT NULL',
  'CREATE INDEX ON models (user_code) WHERE user_code IS NOT NULL',
  'CREATE INDEX ON models (expires_at)',
];

// A statement with a name is prepared once a connection.
function query(name, text, values) {
  return pool.query({ name, text, values });
}

const FOUND = 'SELECT payload, consumed_at FROM models WHERE expires_at > now() AND kind = $1';

function payloadOf({ rows: [row] }) {
  if (row === undefined) return undefined;
  return row.consumed_at ? { ...row.payload, consumed: true } : row.payload;
}

export class Adapter {
  constructor(kind) {
    this.kind = kind;
  }

  async upsert(id, payload, expiresIn) {
    await query(
      'upsert',
      `INSERT INTO models (kind, id, payload, grant_id, uid, user_code, expires_at)
       VALUES ($1, $2, $3, $4, $5, $6, now() + $7::int * interval '1 second')
       ON CONFLICT (kind, id) DO UPDATE SET payload = EXCLUDED.payload,
         grant_id = EXCLUDED.grant_id, uid = EXCLUDED.uid, user_code = EXCLUDED.user_code,
         expires_at = EXCLUDED.expires_at`,
      [this.kind, id, payload, payload.grantId, payload.uid, payload.userCode, expiresIn],
    );
  }

  async find(id) {
    return payloadOf(await query('find', `${FOUND} AND id = $2`, [this.kind, id]));
  }

  async findByUid(uid) {
    return payloadOf(await query('find_by_uid', `${FOUND} AND uid = $2`, [this.kind, uid]));
  }

  async findByUserCode(code) {
    const text = `${FOUND} AND user_code = $2`;
    return payloadOf(await query('find_by_user_code', text, [this.kind, code]));
  }

  async consume(id) {
    const text = 'UPDATE models SET consumed_at = now() WHERE kind = $1 AND id = $2';
    await query('consume', text, [this.kind, id]);
  }

  async destroy(id) {
    await query('destroy', 'DELETE FROM models WHERE kind = $1 AND id = $2', [this.kind, id]);
  }

  async revokeByGrantId(grantId) {
    await query('revoke', 'DELETE FROM models WHERE grant_id = $1', [grantId]);
  }
}

export async function findUser(id) {
  const text = 'SELECT id, username, name, email FROM users WHERE id = $1';
  return (await query('find_user', text, [id])).rows[0];
}
