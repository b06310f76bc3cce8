import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { before, test } from 'node:test';
import { makeAuthority, type Pair } from '#test/kit/ca.ts';
import type { Files } from '../task/materials.ts';
import { readLogin } from './hopcredentials.ts';
import { readGrant } from './tokengrant.ts';

const tokenURL = 'https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token';
const app: Files = { clientId: 'app-1', tokenURL };
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const account = {
  client_email: 'a@p.iam.gserviceaccount.com',
  private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  token_uri: 'https://oauth2.googleapis.com/token',
};
let rsa: Pair;
let other: Pair;
let ecdsa: Pair;

before(async () => {
  const authority = await makeAuthority();
  [rsa, other] = [await authority.issue(['a'], { rsa: true }), await authority.issue(['b'], { rsa: true })];
  ecdsa = await authority.issue(['c']);
});

const grantOf = (files: Files) => {
  const read = readGrant('me@example.com', files);
  return read?.kind === 'grant' ? read.grant : undefined;
};
const reasonOf = (files: Files) => {
  const read = readGrant('me@example.com', files);
  return read?.kind === 'unusable' ? read.reason : undefined;
};

test('the keys say which grant it is, and blanks around them do not matter', () => {
  const secret = { ...app, clientSecret: ' s \n' };
  assert.deepEqual(grantOf(secret), {
    kind: 'client secret',
    ...app,
    clientSecret: 's',
    scope: 'https://outlook.office365.com/.default',
  });
  assert.equal(grantOf({ ...secret, refreshToken: 'r' })?.kind, 'refresh token');
  assert.equal(grantOf({ ...app, 'tls.crt': rsa.cert, 'tls.key': rsa.key })?.kind, 'client certificate');
  const service = grantOf({ serviceAccountKey: JSON.stringify(account) });
  assert.deepEqual([service?.kind, service?.scope], ['service account', 'https://mail.google.com/']);
});

test('the scope of Microsoft is for Microsoft alone, and each scope can be set', () => {
  const at = (url: string, more: Files = {}) =>
    grantOf({ ...app, clientSecret: 's', tokenURL: url, ...more })?.scope;
  assert.equal(
    at('https://login.microsoftonline.us/t/oauth2/v2.0/token'),
    'https://outlook.office365.com/.default',
  );
  assert.equal(at('https://login.microsoftonline.com.evil.example/token'), null);
  assert.equal(at('https://id.example/token'), null);
  assert.equal(at(tokenURL, { scope: 'x' }), 'x');
  assert.equal(grantOf({ ...app, clientSecret: 's', refreshToken: 'r' })?.scope, null);
});

test('what is missing or wrong in a Secret is told, without its contents', () => {
  for (const [files, words] of [
    [{ clientId: 'a', clientSecret: 'canary' }, /lacks clientId or tokenURL/],
    [{ refreshToken: 'canary' }, /lacks clientId or tokenURL/],
    [{ ...app }, /lacks clientSecret, or tls\.crt and tls\.key/],
    [{ ...app, refreshToken: 'canary' }, /lacks clientSecret/],
    [{ ...app, clientSecret: 'canary', tokenURL: 'http://id.example/token' }, /must begin with https/],
    [{ ...app, clientSecret: 'canary', tokenURL: 'http://localhost.evil.example/' }, /must begin with https/],
    [{ ...app, clientSecret: 'canary', tokenURL: 'https://' }, /must begin with https/],
    [{ ...app, 'tls.crt': rsa.cert }, /lacks tls\.key/],
    [{ ...app, 'tls.crt': rsa.cert, 'tls.key': other.key }, /does not belong/],
    [{ ...app, 'tls.crt': ecdsa.cert, 'tls.key': ecdsa.key }, /make an RSA key/],
    [{ ...app, 'tls.crt': 'canary', 'tls.key': 'canary' }, /not PEM/],
    [{ serviceAccountKey: 'canary' }, /not the JSON file/],
    [{ serviceAccountKey: 'null' }, /not the JSON file/],
    [{ serviceAccountKey: JSON.stringify({ ...account, private_key: 'canary' }) }, /not the JSON file/],
    [
      { serviceAccountKey: JSON.stringify({ ...account, token_uri: 'http://evil.example' }) },
      /token_uri must/,
    ],
  ] as const) {
    const reason = reasonOf(files) ?? '';
    assert.match(reason, words, JSON.stringify(Object.keys(files)));
    assert.ok(!reason.includes('canary'));
  }
});

test('a Secret without any login is told with its name', () => {
  assert.deepEqual(readLogin('provider', { username: 'me' }), {
    kind: 'unusable',
    reason: 'the Secret "provider" lacks password, token, serviceAccountKey or clientId',
  });
  assert.deepEqual(readLogin('provider', { username: 'me', ...app }), {
    kind: 'unusable',
    reason: 'the Secret "provider" has a clientId, but lacks clientSecret, or tls.crt and tls.key',
  });
});
