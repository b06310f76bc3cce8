import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { joinFailures, makeFailure } from '#crds/failure.ts';
import type { Hop } from '#crds/policyfile.ts';
import { makeAuthority, makePair } from '#test/kit/ca.ts';
import { hopTo, policyOf, routeTo } from '#test/kit/relayrig.ts';
import type { KeptSecrets, Materials } from '../task/materials.ts';
import { HopSecrets } from './hopsecrets.ts';
import type { TrialResult } from './preflight.ts';

const one = hopTo(25, { credentialsSecret: 'login', trustConfigMap: 'roots' });
const other = hopTo(26, { credentialsSecret: 'login' });
const mx = hopTo(25, { host: 'mx.example', clientCertificateSecret: 'pair' });
const failure = makeFailure({ cause: 'login', status: '4.7.8', text: 'refused' });
const REFUSED: TrialResult = { kind: 'refused', failure };
const MINUTE_MS = 60_000;

interface World {
  pass?: string;
  roots?: string;
  pair?: string;
}

function materialsWith({ pass = 'old', roots = 'a', pair = 'p' }: World): Materials {
  const login: Record<string, string> = pass === '' ? { username: 'u' } : { username: 'u', password: pass };
  return {
    secrets: { login, pair: { 'tls.crt': pair, 'tls.key': pair } },
    configMaps: { roots: { 'ca.crt': roots } },
  };
}

/** Each trial of hop `one` is answered by the test; the other hop accepts everything. */
function start({ mock }: TestContext, kept: KeptSecrets = {}, initial: World = {}) {
  mock.timers.enable({ apis: ['setTimeout'] });
  const policy = policyOf();
  const routes = [routeTo(['*'], [one, other])];
  const secrets = new HopSecrets(
    { ...policy, outbound: { ...policy.outbound, routes } },
    materialsWith(initial),
    kept,
  );
  const trials: ((result: TrialResult) => void)[] = [];
  const taken: Hop[] = [];
  let keeping: KeptSecrets = {};
  secrets.begin({
    tryOut: async (hop) => {
      if (hop.port === other.port) return { kind: 'accepted' };
      return new Promise((resolve) => trials.push(resolve));
    },
    onTaken: (hop) => taken.push(hop),
    onRefused: () => undefined,
    onKept: (all) => {
      keeping = all;
    },
  });
  const passTo = (hop: Hop) => {
    const login = secrets.identityFor(hop).logins.for('login');
    return login.kind === 'password' ? login.pass : login.kind;
  };
  const use = (world: World) => {
    const isChanged = secrets.use(materialsWith(world));
    return [one, other, mx].map((hop) => isChanged(hop));
  };
  const pass = async (ms = 0) => {
    mock.timers.tick(ms);
    await new Promise(setImmediate);
  };
  const end = async (result: TrialResult) => {
    trials.shift()?.(result);
    await pass();
  };
  return { secrets, trials, taken, passTo, use, pass, end, keeping: () => keeping };
}

test('the old contents stay in use until the trial ends, for each hop by itself', async (context) => {
  const { taken, passTo, use, pass, end } = start(context);
  assert.deepEqual(use({ pass: 'new' }), [false, false, false]);
  assert.deepEqual([passTo(one), passTo(other)], ['old', 'old']);
  await pass(1);
  assert.deepEqual([passTo(one), passTo(other)], ['old', 'new']);
  await end({ kind: 'accepted' });
  assert.equal(passTo(one), 'new');
  assert.deepEqual(taken, [other, one]);
});

test('a refusal is told, tried again after a minute, and ends with the acceptance', async (context) => {
  const { secrets, trials, taken, passTo, use, pass, end } = start(context);
  use({ pass: 'new' });
  await pass(1);
  await end(REFUSED);
  assert.match(secrets.heldBack[0]?.message ?? '', /Secret "login" wait.*: 4\.7\.8 refused$/);
  assert.deepEqual([passTo(one), taken.length], ['old', 1]);
  await pass(MINUTE_MS - 1);
  assert.equal(trials.length, 0);
  await pass(1);
  await end({ kind: 'accepted' });
  assert.deepEqual([passTo(one), secrets.heldBack, taken.length], ['new', [], 2]);
});

test('a hop that cannot be had holds nothing back, also after a refusal', async (context) => {
  const { passTo, use, pass, end } = start(context);
  use({ pass: 'new' });
  await pass(1);
  await end({ kind: 'untold' });
  assert.equal(passTo(one), 'new');
  use({ pass: 'newer' });
  await pass(1);
  await end(REFUSED);
  await pass(MINUTE_MS);
  await end({ kind: 'untold' });
  assert.equal(passTo(one), 'newer');
});

test('the new contents are taken at once when the hop refuses the old ones', async (context) => {
  const { secrets, passTo, use, pass, end } = start(context);
  use({ pass: 'new' });
  const identity = secrets.identityFor(one);
  await pass(1);
  await end(REFUSED);
  assert.equal(secrets.refused(one, identity), true);
  assert.deepEqual([passTo(one), secrets.heldBack], ['new', []]);
  // Another delivery has used the old ones too. The new ones have not been refused.
  assert.equal(secrets.refused(one, identity), true);
  assert.equal(secrets.refused(one, secrets.identityFor(one)), false);
  assert.deepEqual(use({ pass: 'newer' }), [true, false, false]);
  assert.equal(passTo(one), 'newer');
  secrets.accepted(one);
  assert.deepEqual(use({ pass: 'newest' })[0], false);
});

test('contents that change during a trial begin another one, and those in use end it', async (context) => {
  const { trials, passTo, use, pass, end } = start(context);
  use({ pass: 'new' });
  await pass(1);
  assert.deepEqual(use({ pass: 'newer' }), [false, false, false]);
  await pass(1);
  await end({ kind: 'accepted' });
  assert.equal(passTo(one), 'old');
  await end({ kind: 'accepted' });
  assert.equal(passTo(one), 'newer');
  use({ pass: 'wrong' });
  assert.equal(use({ pass: 'newer' })[0], false);
  await pass(1);
  assert.equal(trials.length, 0);
  assert.equal(passTo(one), 'newer');
});

test('what is incomplete is taken at once, and so is what follows it', (context) => {
  const { passTo, use } = start(context);
  assert.deepEqual(use({ pass: '' }), [true, true, false]);
  assert.equal(passTo(one), 'unusable');
  assert.deepEqual(use({ pass: 'new' }), [true, true, false]);
  assert.equal(passTo(one), 'new');
});

test('a trust bundle is in use at once, and a trial begins anew with it; MX hosts have no trial', async (context) => {
  const { secrets, trials, passTo, use, pass, end } = start(context);
  use({ pass: 'new' });
  await pass(1);
  const identity = secrets.identityFor(one);
  assert.deepEqual(use({ pass: 'new', roots: 'b' }), [true, false, false]);
  assert.notEqual(secrets.identityFor(one), identity);
  await pass(1);
  // The trial with the old trust.
  await end({ kind: 'untold' });
  assert.deepEqual([passTo(one), trials.length], ['old', 1]);
  await end(REFUSED);
  assert.equal(passTo(one), 'old');
  assert.deepEqual(use({ pass: 'new', roots: 'b', pair: 'q' }), [false, false, true]);
  secrets.close();
  await pass(MINUTE_MS);
  assert.equal(trials.length, 0);
});

test('another trust bundle ends no refusal of a login: the next trial and the mail wait as before', async (context) => {
  const { secrets, trials, passTo, use, pass, end } = start(context);
  use({ pass: 'new' });
  await pass(1);
  await end(REFUSED);
  const identity = secrets.identityFor(one);
  const isChanged = secrets.use(materialsWith({ pass: 'new', roots: 'b' }));
  // What is taken out of the bundle is out of use at once all the same.
  assert.notEqual(secrets.identityFor(one), identity);
  const untrusted = makeFailure({ cause: 'certificate-untrusted', status: '4.7.5', text: 'no' });
  assert.deepEqual([isChanged(one, failure), isChanged(one, untrusted), isChanged(one)], [false, true, true]);
  const both = joinFailures([failure, untrusted]);
  assert.equal(isChanged(one, both), true);
  await pass(MINUTE_MS / 2);
  assert.deepEqual([passTo(one), trials.length], ['old', 0]);
  await pass(MINUTE_MS / 2);
  assert.equal(trials.length, 1);
  assert.equal(secrets.use(materialsWith({ pass: 'third', roots: 'b' }))(other, failure), false);
  await end({ kind: 'accepted' });
  secrets.close();
});

test('a login that is taken at once may end a refusal', (context) => {
  const { secrets } = start(context, {}, { pass: '' });
  assert.equal(secrets.use(materialsWith({ pass: 'new' }))(one, failure), true);
});

test('the next process goes on with the old contents, their reason and their pause', async (context) => {
  const first = start(context);
  first.use({ pass: 'new' });
  await first.pass(1);
  await first.end(REFUSED);
  first.secrets.close();
  context.mock.timers.reset();
  const next = start(context, first.keeping(), { pass: 'new' });
  assert.deepEqual([next.passTo(one), next.passTo(other)], ['old', 'new']);
  assert.equal(next.secrets.heldBack.length, 1);
  await next.pass(MINUTE_MS - 1);
  assert.equal(next.trials.length, 0);
  await next.pass(1);
  await next.end({ kind: 'accepted' });
  assert.deepEqual([next.passTo(one), next.keeping()], ['new', {}]);
});

test('the next process forgets what is mounted again, and hops that its policy does not have', (context) => {
  const trial = { afterMs: 0, refusals: 0, failure: null };
  const key = JSON.stringify([one.host, one.port, 'login', null]);
  const { secrets } = materialsWith({});
  const kept = {
    [key]: { secrets: { login: secrets['login'] ?? {} }, ...trial },
    gone: { secrets, ...trial },
  };
  const { passTo, keeping } = start(context, kept);
  assert.deepEqual([passTo(one), keeping()], ['old', {}]);
});

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
