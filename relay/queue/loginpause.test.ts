/**
 * A new router does not try a login at once that a hop has refused. The queue and the courier are real, the hop is a
 * stand-in, and the time is that of the test.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { hopTo, type PodDirs, podDirs, policyOf, routeTo } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';
import { Delivery } from '../delivery/delivery.ts';
import { SYSTEM_NAMES } from '../delivery/names.ts';
import { NO_DISCOVERY } from '../delivery/tlsfindings.ts';
import { newQueueId } from '../spool/record.ts';
import { Spool } from '../spool/spool.ts';
import type { Materials, RefusedLogins } from '../task/materials.ts';
import { QueueManager } from './manager.ts';

const MINUTE = 60_000;
const WRONG: Materials['secrets'] = { login: { username: 'u', password: 'wrong' } };
const RIGHT: Materials['secrets'] = { login: { username: 'u', password: 'right' } };
const REFUSED = makeFailure({ cause: 'login', status: '4.7.8', text: 'refuses our login' });
const hopOf = (host: string) => hopTo(25, { host, credentialsSecret: 'login' });

let dirs: PodDirs;
let spool: Spool;
let now: number;
/** Logins, by host. */
let tries: string[];
/** What the supervisor keeps. */
let kept: RefusedLogins;
let manager: QueueManager | undefined;

beforeEach(() => {
  dirs = podDirs();
  spool = new Spool(dirs.stateDir);
  now = Date.now();
  tries = [];
  kept = {};
});
afterEach(async () => {
  await manager?.drain(0);
  await spool.close();
  dirs.remove();
});

/** Starts a router with these contents after the one before. */
async function begin(secrets: Materials['secrets'], hosts = ['127.0.0.1']) {
  await manager?.drain(0);
  let contents = secrets;
  const policy = policyOf(
    {},
    { routes: [routeTo(['login.example'], hosts.map(hopOf))], smartHosts: [hopTo(26)] },
  );
  const clock = () => now - startedAt;
  const startedAt = now - 5_000;
  const courier = new Delivery({
    policy,
    client: {
      resume: async () => undefined,
      deliver: async ({ hop }, _, { to }) => {
        if (hop.credentialsSecret) tries.push(hop.host);
        if (hop.credentialsSecret && contents !== RIGHT)
          return { kind: 'unreachable', failure: REFUSED, hadSession: false };
        const verdicts = to.map(() => ({ kind: 'delivered', reply: '250 ok' }) as const);
        return { kind: 'answered', verdicts, tls: null, tellsSender: false, mayTryAnother: false };
      },
      useMaterials: (materials) => {
        contents = materials.secrets;
        return ({ credentialsSecret }) => credentialsSecret !== null;
      },
      contentsFor: ({ credentialsSecret }) => (credentialsSecret ? contents : {}),
      secretsHeldBack: [],
      connections: [],
      close: () => undefined,
    },
    discovery: NO_DISCOVERY,
    names: SYSTEM_NAMES,
    clock,
    wall: () => now,
    random: () => 0.5,
    onRefused: (refused) => {
      kept = structuredClone(refused);
    },
  });
  manager = new QueueManager({
    policy,
    spool,
    courier,
    signer: async () => ({ kind: 'header', header: null }),
    log: () => undefined,
    clock,
    wall: () => now,
    random: () => 0.5,
  });
  courier.rememberRefused(kept);
  await manager.start();
  await pass(manager);
  return { manager, courier };
}

async function enter(to = 'a@login.example'): Promise<string> {
  const id = newQueueId(now);
  const recipients = [{ address: to, state: 'queued' as const }];
  const envelope = { from: 'me@x.example', recipients, receivedAt: now, smtpUtf8: false, eightBit: false };
  await spool.enter(id, envelope, { kind: 'inline', bytes: Buffer.from('Subject: s\r\n\r\nbody\r\n') });
  return id;
}

/** What may go now has gone: so has a message that nothing holds up. */
async function pass(to: QueueManager): Promise<void> {
  const id = await enter('a@other.example');
  to.add(id);
  await eventually(() => spool.read(id).kind === 'gone');
  await eventually(() => !spool.list().some((one) => to.isDelivering(one)));
}

test('a message that comes first waits as all others do, the status tells of the hop, and the pauses go on growing', async () => {
  await enter();
  await begin(WRONG);
  assert.equal(tries.length, 1);
  for (const [index, minutes] of [1, 2, 5].entries()) {
    now += (minutes * MINUTE) / 2;
    await enter();
    const { manager, courier } = await begin(WRONG);
    assert.equal(tries.length, index + 1);
    assert.deepEqual(courier.logins.refused, [
      { destination: '127.0.0.1:25', message: '4.7.8 refuses our login' },
    ]);
    assert.equal(manager.figures.waits[0]?.destination, '127.0.0.1:25');
    now += (minutes * MINUTE) / 2;
    await begin(WRONG);
    assert.equal(tries.length, index + 2);
  }
});

test('with other contents of the Secret it is tried at once, and accepted it is forgotten', async () => {
  const id = await enter();
  await begin(WRONG);
  await enter();
  now += 1_000;
  await begin(RIGHT);
  assert.deepEqual(kept, {});
  assert.ok(tries.length > 1);
  await eventually(() => spool.list().every((one) => one === id));
});

test('contents that come with the policy, before the queue is loaded, let all mail be tried at once', async () => {
  await enter();
  const { manager, courier } = await begin(WRONG);
  await manager.drain(0);
  now += 1_000;
  const next = new QueueManager({
    policy: policyOf({}, { routes: [routeTo(['login.example'], [hopOf('127.0.0.1')])] }),
    spool,
    courier,
    signer: async () => ({ kind: 'header', header: null }),
    log: () => undefined,
    clock: () => now,
    wall: () => now,
    random: () => 0.5,
  });
  next.materialsChanged(courier.useMaterials({ secrets: RIGHT, configMaps: {} }), false);
  await next.start();
  await eventually(() => spool.depth === 0);
  await next.drain(0);
});

test('a hop that is new in the list is tried, and one that is not in the policy is not told of', async () => {
  await enter();
  await begin(WRONG);
  await enter();
  const { courier } = await begin(WRONG, ['127.0.0.1', '127.0.0.2']);
  assert.ok(tries.includes('127.0.0.2'));
  assert.equal(courier.logins.refused.length, 2);
  const { courier: other } = await begin(WRONG, ['127.0.0.3']);
  assert.deepEqual(
    other.logins.refused.map(({ destination }) => destination),
    ['127.0.0.3:25'],
  );
});

test('a clock that steps back holds mail no longer than the pause', async () => {
  await enter();
  await begin(WRONG);
  now -= 24 * 60 * MINUTE;
  await begin(WRONG);
  assert.equal(tries.length, 1);
  await enter();
  now += MINUTE;
  await begin(WRONG);
  assert.equal(tries.length, 2);
});

test('mail does not expire while a person must mend the login, also after a restart', async () => {
  const id = await enter();
  await begin(WRONG);
  now += 30_000;
  const { manager } = await begin(WRONG);
  now += 6 * 24 * 60 * MINUTE;
  await manager.actions.sweep();
  assert.equal(spool.read(id).kind, 'message');
});
