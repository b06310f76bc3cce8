/** Each kind of login at a token service that answers as Microsoft and Google do. */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import { freePort } from '#test/kit/ports.ts';
import {
  googleError,
  microsoftError,
  type TokenReply,
  TokenService,
  tokenReply,
} from '#test/kit/tokenservice.ts';
import type { Files } from '../task/materials.ts';
import { readGrant } from './tokengrant.ts';
import { requestToken } from './tokenrequest.ts';

const USER = 'relay@example.com';
const SECRET = 'client-secret-8Q~canary';
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
let service: TokenService;

before(async () => {
  service = await TokenService.start();
});

after(() => service?.down());

async function ask(files: Files) {
  const read = readGrant(USER, files);
  assert.equal(read?.kind, 'grant', JSON.stringify(read));
  return requestToken(read.grant);
}

const app = () => ({ clientId: 'app-1', clientSecret: SECRET, tokenURL: service.url });
const account = () => ({
  serviceAccountKey: JSON.stringify({
    type: 'service_account',
    private_key_id: 'key-1',
    private_key: pem,
    client_email: 'relay@project.iam.gserviceaccount.com',
    client_id: '1234567890',
    token_uri: service.url,
  }),
});

test('client credentials with a secret, as Microsoft 365 has them', async () => {
  service.answer = () => tokenReply('t-1');
  const scope = 'https://outlook.office365.com/.default';
  assert.deepEqual(await ask({ ...app(), scope }), {
    kind: 'token',
    token: 't-1',
    lifetime: 3_599,
    refreshToken: undefined,
  });
  assert.deepEqual(service.asked.at(-1), {
    grant_type: 'client_credentials',
    client_id: 'app-1',
    client_secret: SECRET,
    scope,
  });
});

test('client credentials with a certificate: an assertion that names it by its thumbprint', async () => {
  const pair = await (await makeAuthority()).issue(['relay'], { rsa: true });
  service.answer = () => tokenReply('t-2');
  const { clientSecret: _, ...files } = app();
  assert.equal((await ask({ ...files, 'tls.crt': pair.cert, 'tls.key': pair.key })).kind, 'token');
  const asked = service.asked.at(-1) ?? {};
  assert.equal(asked['grant_type'], 'client_credentials');
  assert.equal(asked['client_assertion_type'], 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
  assert.equal(asked['client_secret'], undefined);
  const { header, claims } = await service.readAssertion(asked, createPublicKey(pair.cert));
  const thumbprint = new X509Certificate(pair.cert).fingerprint256.replaceAll(':', '');
  assert.deepEqual(
    [header['alg'], header['x5t#S256']],
    ['PS256', Buffer.from(thumbprint, 'hex').toString('base64url')],
  );
  assert.deepEqual([claims.iss, claims.sub, typeof claims.jti], ['app-1', 'app-1', 'string']);
  assert.ok((claims.exp ?? 0) - (claims.iat ?? 0) <= 600);
});

test('a service account of Google, in the name of a mailbox', async () => {
  service.answer = () => tokenReply('t-3');
  assert.equal((await ask(account())).kind, 'token');
  const asked = service.asked.at(-1) ?? {};
  assert.deepEqual(Object.keys(asked).toSorted(), ['assertion', 'grant_type']);
  assert.equal(asked['grant_type'], 'urn:ietf:params:oauth:grant-type:jwt-bearer');
  const { header, claims } = await service.readAssertion(asked, publicKey);
  assert.deepEqual(header, { alg: 'RS256', typ: 'JWT', kid: 'key-1' });
  const { iat = 0, exp = 0, ...rest } = claims;
  assert.deepEqual(rest, {
    iss: 'relay@project.iam.gserviceaccount.com',
    sub: USER,
    aud: service.url,
    scope: 'https://mail.google.com/',
  });
  assert.equal(exp - iat, 300);
});

test('a refresh token, which a service may replace; an ID token beside it means nothing', async () => {
  service.answer = () => tokenReply('t-4', { refresh_token: 'refresh-2', id_token: 'a.b.c', scope: 'x' });
  assert.deepEqual(await ask({ ...app(), refreshToken: 'refresh-1' }), {
    kind: 'token',
    token: 't-4',
    lifetime: 3_599,
    refreshToken: 'refresh-2',
  });
  assert.deepEqual(service.asked.at(-1), {
    grant_type: 'refresh_token',
    client_id: 'app-1',
    client_secret: SECRET,
    refresh_token: 'refresh-1',
  });
});

test('what Microsoft and Google refuse is a value with a code and a cure, and nothing else of their words', async () => {
  const cases: readonly (readonly [Files, TokenReply, string, RegExp])[] = [
    [
      app(),
      microsoftError(
        7000215,
        `Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app 'app-1'. ${SECRET}`,
      ),
      'AADSTS7000215',
      /not its ID$/,
    ],
    [
      app(),
      microsoftError(7000222, "The provided client secret keys for app 'app-1' are expired."),
      'AADSTS7000222',
      /expired: make a new one/,
    ],
    [
      app(),
      microsoftError(
        700016,
        "Application with identifier 'app-1' was not found in the directory 'Example'.",
        'unauthorized_client',
      ),
      'AADSTS700016',
      /correct clientId/,
    ],
    [
      app(),
      microsoftError(90002, "Tenant 'example' not found.", 'invalid_request'),
      'AADSTS90002',
      /tokenURL/,
    ],
    [app(), microsoftError(999999, 'Something new.', 'invalid_grant'), 'AADSTS999999', /refreshToken/],
    [
      account(),
      googleError(
        'unauthorized_client',
        'Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.',
        401,
      ),
      'unauthorized_client',
      /Domain-wide delegation$/,
    ],
    [account(), googleError('invalid_grant', 'Invalid email or User ID'), 'invalid_grant', /^username/],
    [
      account(),
      googleError('invalid_grant', 'Invalid JWT Signature.'),
      'invalid_grant',
      /serviceAccountKey$/,
    ],
    [
      account(),
      googleError(
        'invalid_grant',
        'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
      ),
      'invalid_grant',
      /clock/,
    ],
    [app(), { status: 400, body: { error: `<b>${SECRET}</b>` } }, 'an unknown error', /provider/],
  ];
  for (const [files, reply, code, cure] of cases) {
    service.answer = () => reply;
    const answer = await ask(files);
    assert.equal(answer.kind, 'refused', code);
    assert.equal(answer.problem.code, code);
    assert.match(answer.problem.cure, cure);
    assert.ok(!JSON.stringify(answer).includes(SECRET));
  }
});

test('a service that has a fault, answers nonsense or is away gives no token now', async () => {
  const host = new URL(service.url).host;
  const replies: readonly (readonly [TokenReply, RegExp])[] = [
    [{ status: 503, body: 'Service Unavailable' }, /status 503/],
    [{ status: 503, body: { error: 'invalid_client' } }, /status 503/],
    [{ status: 429, body: { error: 'invalid_request' } }, /status 429/],
    [
      microsoftError(90033, 'A transient error has occurred. Please try again.', 'invalid_request'),
      /AADSTS90033/,
    ],
    [{ status: 200, body: '<html>' }, /no answer of a token service/],
    [{ status: 200, body: { access_token: 7, token_type: 'Bearer' } }, /no answer of a token service/],
    [{ status: 302, body: {} }, /status 302/],
    [{ status: 200, body: { access_token: 'x'.repeat(300_000), token_type: 'Bearer' } }, /too long/],
  ];
  for (const [reply, reason] of replies) {
    service.answer = () => reply;
    const answer = await ask(app());
    assert.equal(answer.kind, 'unavailable', JSON.stringify(reply).slice(0, 100));
    assert.ok(answer.reason.startsWith(`the token service ${host} gives no token: `));
    assert.match(answer.reason, reason);
  }
  const port = await freePort();
  assert.deepEqual(await ask({ ...app(), tokenURL: `http://127.0.0.1:${port}/token` }), {
    kind: 'unavailable',
    reason: `the token service 127.0.0.1:${port} gives no token: ECONNREFUSED`,
  });
});
