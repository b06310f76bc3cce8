/** A login or a client certificate that no connection could use does not replace the good one. The pairs are real. */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { makeAuthority, makePair } from '#test/kit/ca.ts';
import { hopTo, policyOf, routeTo } from '#test/kit/relayrig.ts';
import type { Materials } from '../task/materials.ts';
import { HopSecrets } from './hopsecrets.ts';

const one = hopTo(25, { credentialsSecret: 'login', trustConfigMap: 'roots' });

const authority = await makeAuthority();
const [good, renewed, foreign] = await Promise.all(
  ['relay.example', 'relay.example', 'other.example'].map((name) => authority.issue([name])),
);
const expired = await makePair('relay.example', -1);
const early = await authority.issue(['relay.example'], { from: 1, until: 90 });
const encrypted = createPrivateKey(good?.key ?? '').export({
  type: 'pkcs8',
  format: 'pem',
  cipher: 'aes-256-cbc',
  passphrase: 'secret',
});
const filesOf = ({ cert = '', key = '' }: { cert?: string; key?: string } = {}) => ({
  'tls.crt': cert,
  'tls.key': key,
});

const client = hopTo(27, { clientCertificateSecret: 'pair', tlsLevel: 'Encrypt' });
const mxHost = (host: string) => ({
  ...hopTo(25, { host, clientCertificateSecret: 'pair' }),
  mxOf: 'mx.example',
});

/** Every hop accepts what it is asked about. */
function startWith({ mock }: TestContext, secrets: Materials['secrets']) {
  mock.timers.enable({ apis: ['setTimeout'] });
  const policy = policyOf();
  const routes = [routeTo(['*'], [client, one])];
  const outbound = { ...policy.outbound, routes, clientCertificateSecret: 'pair' };
  const hopSecrets = new HopSecrets({ ...policy, outbound }, { secrets, configMaps: {} });
  const asked: number[] = [];
  hopSecrets.begin({
    tryOut: async (hop) => {
      asked.push(hop.port);
      return { kind: 'accepted' };
    },
    onTaken: () => undefined,
    onRefused: () => undefined,
    onKept: () => undefined,
  });
  const use = async (changed: Materials['secrets']) => {
    hopSecrets.use({ secrets: { ...secrets, ...changed }, configMaps: {} });
    mock.timers.tick(1);
    await new Promise(setImmediate);
  };
  const isMounted = (hop: Parameters<typeof hopSecrets.identityFor>[0]) =>
    hopSecrets.identityFor(hop) === hopSecrets.mounted;
  return { hopSecrets, asked, use, isMounted };
}

const login = { username: 'u', password: 'p' };

test('a client certificate that no connection could use does not replace the good one', async (context) => {
  for (const [files, words] of [
    [filesOf({ ...good, key: foreign?.key ?? '' }), /tls\.key does not belong to tls\.crt/],
    [filesOf({ ...renewed, cert: 'garbage' }), /tls\.crt is not a PEM certificate/],
    [filesOf({ ...renewed, key: 'garbage' }), /tls\.key is not an unencrypted PEM private key/],
    [filesOf({ ...good, key: encrypted }), /tls\.key is not an unencrypted PEM private key/],
    [filesOf({ cert: renewed?.cert ?? '' }), /it lacks tls\.key/],
    [filesOf(expired), /the certificate expired on /],
    [filesOf(early), /the certificate is not valid before /],
  ] as const) {
    const { hopSecrets, asked, use, isMounted } = startWith(context, { pair: filesOf(good), login });
    await use({ pair: files });
    assert.deepEqual([isMounted(client), isMounted(mxHost('mx.example'))], [false, false]);
    assert.deepEqual(
      hopSecrets.heldBack.map(({ destination }) => destination),
      [`${client.host}:27`, 'MX hosts'],
    );
    for (const { message } of hopSecrets.heldBack) {
      assert.match(message, words);
      assert.match(
        message,
        /^The new contents of Secret "pair" wait, and the old ones stay in use: 4\.7\.0 /,
      );
    }
    assert.deepEqual(asked, []);
    await use({ pair: filesOf(renewed) });
    assert.deepEqual([isMounted(client), isMounted(mxHost('mx.example'))], [true, true]);
    assert.deepEqual([hopSecrets.heldBack, asked], [[], [27]]);
    hopSecrets.close();
    context.mock.timers.reset();
  }
});

test('a client certificate is judged as the connections of its hop take it: a short key only where any encryption will do', async (context) => {
  const weak = filesOf(await authority.issue(['relay.example'], { rsa: 1024 }));
  const broken = filesOf({ ...good, key: foreign?.key ?? '' });
  const host = mxHost('mx.example');
  for (const [from, to, inUse] of [
    [filesOf(good), weak, { client: false, mx: true }],
    // What is broken for both does not replace what MX hosts can use.
    [weak, broken, { client: true, mx: false }],
  ] as const) {
    const { hopSecrets, use, isMounted } = startWith(context, { pair: from, login });
    await use({ pair: to });
    assert.deepEqual({ client: isMounted(client), mx: isMounted(host) }, inUse);
    hopSecrets.close();
    context.mock.timers.reset();
  }
});

test('one MX host that refuses the old certificate does not bring a broken one into use for all', async (context) => {
  const { hopSecrets, use, isMounted } = startWith(context, { pair: filesOf(good), login });
  await use({ pair: filesOf({ ...good, cert: 'garbage' }) });
  const host = mxHost('mx.example');
  assert.equal(hopSecrets.refused(host, hopSecrets.identityFor(host)), false);
  assert.equal(isMounted(host), false);
});

test('a login that cannot be made does not replace the good one, and one that was taken away is gone', async (context) => {
  for (const [files, words] of [
    [{ username: 'u', password: 'a\nb' }, /has a control character or a second line in password/],
    [{ username: 'u\0v', password: 'p' }, /has a control character or a second line in username/],
    [{ password: 'p' }, /is missing or lacks username/],
    [{ username: 'u', serviceAccountKey: '{"private_key": "no key"}' }, /serviceAccountKey/],
    [{ username: 'u', clientId: 'c', clientSecret: 's', tokenURL: 'http://token.example' }, /tokenURL/],
  ] as const) {
    const { hopSecrets, use, isMounted } = startWith(context, { pair: filesOf(good), login });
    await use({ login: files });
    assert.equal(isMounted(one), false);
    assert.match(hopSecrets.heldBack[0]?.message ?? '', words);
    for (const away of [{}, { username: 'u' }, { username: 'u', password: '' }]) {
      await use({ login: away });
      assert.deepEqual([isMounted(one), hopSecrets.heldBack], [true, []]);
    }
    hopSecrets.close();
    context.mock.timers.reset();
  }
  const { hopSecrets, use, isMounted } = startWith(context, { pair: filesOf(good), login });
  for (const files of [{}, filesOf()]) {
    await use({ pair: files });
    assert.deepEqual([isMounted(client), hopSecrets.heldBack], [true, []]);
  }
});
