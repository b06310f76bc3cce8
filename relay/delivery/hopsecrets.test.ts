/** New contents of a Secret wait for the trial of their hop. Each trial is answered by the test. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { joinFailures, makeFailure } from '#crds/failure.ts';
import type { Hop } from '#crds/policyfile.ts';
import { makePair } from '#test/kit/ca.ts';
import { wayTo } from '#test/kit/hopway.ts';
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

test('of hops with the same Secrets each has its own trust bundle in use at once, also while new contents wait', async () => {
  const { cert } = await makePair();
  const twin = { ...one, tlsLevel: 'Verify', trustConfigMap: 'twin' } as const;
  for (const hops of [
    [one, twin],
    [twin, one],
  ]) {
    const outbound = { ...policyOf().outbound, routes: [routeTo(['*'], hops)] };
    const world = (pass: string, bundle: Record<string, string>): Materials => ({
      secrets: materialsWith({ pass }).secrets,
      configMaps: { ...materialsWith({}).configMaps, twin: bundle },
    });
    const secrets = new HopSecrets({ ...policyOf(), outbound }, world('old', { 'ca.crt': cert }));
    const unused = () => undefined;
    const never = () => new Promise<never>(unused);
    secrets.begin({ tryOut: never, onTaken: unused, onRefused: unused, onKept: unused });
    const trusts = () => secrets.identityFor(twin).contexts.for(wayTo(twin).policy).kind;
    secrets.use(world('new', { 'ca.crt': cert }));
    assert.notEqual(secrets.identityFor(twin), secrets.mounted);
    assert.equal(trusts(), 'context');
    secrets.use(world('new', {}));
    assert.equal(trusts(), 'unusable', JSON.stringify(hops));
    secrets.close();
  }
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
