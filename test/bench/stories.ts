/**
 * What is told of our relay alone, each story once: a next hop that is away (G), changes under load (H), a long queue (I),
 * and a relay at rest (R). Figures by name, rounded for reading.
 */
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashContent, type Policy } from '#crds/policyfile.ts';
import { newQueueId } from '#relay/spool/record.ts';
import { Spool } from '#relay/spool/spool.ts';
import { listenerProcesses } from '#relay/supervisor/cpus.ts';
import { type Authority, makeAuthority } from '#test/kit/ca.ts';
import { freePort } from '#test/kit/ports.ts';
import { until } from '#test/kit/wait.ts';
import { send } from './load.ts';
import { type Bench, delivered, watchMemory, withPeer } from './measure.ts';
import type { Setting } from './peer.ts';
import { policyOf, RunningRelay, relay } from './peers/relay.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { cpuMsOf, memoryOf, treeOf } from './tree.ts';

export type Figures = Readonly<Record<string, number>>;

const [A] = SCENARIOS as readonly [Scenario];
const NAMES = ['relay.bench.example', 'localhost'];
/** Heaps of processes that have just begun are small: what a queue costs shows beside those that had this much mail. */
const WARM_UP_SECONDS = 15;
const REST_MS = 20_000;
const CHANGES = 5;

/** The next hop is away for so many seconds while the load goes on, then comes back. */
export async function nextHopAway(seconds: number): Promise<Figures> {
  const pair = await (await makeAuthority()).issue(NAMES);
  return withPeer(relay, A, pair, async ({ sink, setting: { port }, running }) => {
    const warm = await send(port, 'warm-', A.load, { seconds: WARM_UP_SECONDS });
    await delivered(sink, ({ other }) => other, warm.accepted);
    sink.goDown();
    const atFirst = memoryOf(running.pid).anonMb;
    const watch = watchMemory(running.pid);
    const before = cpuMsOf(running.pid);
    const sent = await send(port, 'run-', A.load, { seconds });
    const whileAway = cpuMsOf(running.pid);
    sink.comeBack();
    const backAt = Date.now();
    await delivered(sink, ({ distinct }) => distinct, sent.accepted, 60_000);
    const taken = sink.taken();
    return rounded({
      accepted: sent.accepted,
      'accepted/s while away': sent.accepted / sent.seconds,
      'CPU ms a message accepted': (whileAway - before) / sent.accepted,
      'CPU ms a message drained': (cpuMsOf(running.pid) - whileAway) / sent.accepted,
      'drained/s, the wait for a probe included': sent.accepted / ((taken.lastMs - backAt) / 1000),
      'anonymous MB at first': atFirst,
      'peak anonymous MB': watch().anonMb,
      'mean displacement, share of the queue': taken.displacement / sent.accepted,
      lost: sent.accepted - taken.distinct,
      duplicated: taken.duplicates,
    });
  });
}

/** A policy change every ten seconds and a renewal every second, under A; then what each costs without load. */
export async function changesUnderLoad(seconds: number): Promise<Figures> {
  const authority = await makeAuthority();
  return withPeer(relay, A, await authority.issue(NAMES), async (bench) => {
    const { sink, running } = bench;
    const { port } = bench.setting;
    const changing = startChanging(bench, authority);
    const sent = await send(port, 'run-', A.load, { seconds });
    const { policies, renewals } = await changing.stop();
    await delivered(sink, ({ distinct }) => distinct, sent.accepted);
    const taken = sink.taken();
    // The old processes end with their last session.
    await until(
      'the processes of old policies to end',
      async () => (await running.status()).sessions.ofOldPolicy === 0,
      60_000,
    );
    return rounded({
      accepted: sent.accepted,
      policies,
      renewals,
      'failed sessions': sent.failed,
      lost: sent.accepted - taken.distinct,
      duplicated: taken.duplicates,
      ...(await costOfChanges(bench, authority)),
    });
  });
}

function startChanging({ running, setting }: Bench<RunningRelay>, authority: Authority) {
  const counts = { policies: 0, renewals: 0 };
  let going = true;
  const work = (async () => {
    for (let second = 1; going; second++) {
      await sleep(1_000);
      running.renew(await authority.issue(NAMES));
      counts.renewals += 1;
      if (second % 10 !== 0) continue;
      running.change(changed(policyOf(setting), ++counts.policies));
    }
  })();
  return {
    stop: async () => {
      going = false;
      await work;
      return counts;
    },
  };
}

function changed(policy: Policy, count: number): Policy {
  const { inbound } = policy;
  return { ...policy, inbound: { ...inbound, limits: { ...inbound.limits, recipients: 500 + count } } };
}

async function costOfChanges(
  { running, setting }: Bench<RunningRelay>,
  authority: Authority,
): Promise<Figures> {
  const cost = async (change: (count: number) => Promise<void>) => {
    const before = cpuMsOf(running.pid);
    for (let count = 0; count < CHANGES; count++) await change(count);
    return (cpuMsOf(running.pid) - before) / CHANGES;
  };
  return {
    'CPU ms a renewal': await cost(async () => {
      const pair = await authority.issue(NAMES);
      running.renew(pair);
      await until('the renewal', async () => (await running.status()).certificate?.serial === pair.serial);
    }),
    'CPU ms a policy change': await cost(async (count) => {
      const policy = changed(policyOf(setting), 1_000 + count);
      running.change(policy);
      await until('the policy', async () => (await running.status()).policy.hash === hashContent(policy));
      // The supervisor, a listener process for each core and the router: the old ones are gone.
      await until('the old processes to end', () => treeOf(running.pid).length === 2 + listenerProcesses());
    }),
  };
}

/** So many messages wait for one destination that is away; another destination must not notice. */
export async function longQueue(count: number): Promise<Figures> {
  const empty = await withQueue(0);
  const { anonymousMb, ...full } = await withQueue(count);
  return rounded({
    queued: count,
    ...full,
    'anonymous bytes a queued message': ((anonymousMb - empty.anonymousMb) * 2 ** 20) / count,
  });
}

async function withQueue(count: number) {
  const pair = await (await makeAuthority()).issue(NAMES);
  const away = await freePort();
  let startedAt = 0;
  let readyAt = 0;
  const filled = {
    ...relay,
    start: async (setting: Setting) => {
      await fill(join(setting.dir, 'state'), count);
      startedAt = Date.now();
      const running = await RunningRelay.start(setting, { policy: withRoute(policyOf(setting), away) });
      readyAt = Date.now();
      return running;
    },
  };
  return withPeer(filled, A, pair, async ({ sink, setting: { port }, running }) => {
    await until('the queue to be known', async () => (await running.status()).queue.depth >= count, 60_000);
    const knownAt = Date.now();
    const sent = await send(port, 'run-', { ...A.load, connections: 4 }, { seconds: 30, messages: 200 });
    await delivered(sink, ({ distinct }) => distinct, sent.accepted);
    await sleep(5_000);
    const before = cpuMsOf(running.pid);
    await sleep(REST_MS);
    return {
      'ready after ms': readyAt - startedAt,
      'queue known after ms': knownAt - startedAt,
      'CPU % while one destination is probed': (100 * (cpuMsOf(running.pid) - before)) / REST_MS,
      'meanwhile sent to another destination': sent.accepted,
      'delivered to it': sink.taken().distinct,
      anonymousMb: memoryOf(running.pid).anonMb,
    };
  });
}

/** Mail for away.example goes where nobody listens. */
function withRoute(policy: Policy, port: number): Policy {
  const { smartHosts, tlsLevel, minTlsVersion, sourceAddresses } = policy.outbound;
  const hosts = smartHosts.map((hop) => ({ ...hop, port }));
  const terms = { tlsLevel, minTlsVersion, sourceAddresses, socksProxy: null, limits: null, retry: null };
  const route = { recipientDomains: ['away.example'], senders: null, hosts, ...terms };
  return { ...policy, outbound: { ...policy.outbound, routes: [route] } };
}

async function fill(stateDir: string, count: number): Promise<void> {
  mkdirSync(stateDir, { recursive: true });
  const spool = new Spool(stateDir);
  const body = Buffer.from(`Subject: waiting\r\n\r\n${'x'.repeat(1_000)}\r\n`);
  for (let done = 0; done < count; done += 500) {
    await Promise.all(
      Array.from({ length: Math.min(500, count - done) }, async () => {
        const writer = spool.bodyWriter('');
        await writer.write(body);
        const envelope = {
          from: 'sender@bench.example',
          recipients: [{ address: 'somebody@away.example', state: 'queued' }],
          receivedAt: Date.now(),
          smtpUtf8: false,
          eightBit: false,
        } as const;
        await spool.enter(newQueueId(Date.now()), envelope, await writer.seal());
      }),
    );
  }
  await spool.close();
}

/** One listener process, as a pod with one core has: from exec to the first greeting, and what it costs at rest. */
export async function atRest(): Promise<Figures> {
  const pair = await (await makeAuthority()).issue(NAMES);
  let startedAt = 0;
  let greeted = Promise.resolve(0);
  const small = {
    ...relay,
    start: (setting: Setting) => {
      startedAt = Date.now();
      greeted = greeting(setting.port);
      return RunningRelay.start(setting, { processes: 1 });
    },
  };
  return withPeer(small, A, pair, async ({ running }) => {
    await sleep(5_000);
    const before = cpuMsOf(running.pid);
    await sleep(REST_MS);
    const { anonMb, pssMb } = memoryOf(running.pid);
    return rounded({
      'ms to the first 220': (await greeted) - startedAt,
      'CPU % at rest': (100 * (cpuMsOf(running.pid) - before)) / REST_MS,
      'anonymous MB at rest': anonMb,
      'PSS MB at rest': pssMb,
    });
  });
}

/** When the first 220 comes. */
async function greeting(port: number): Promise<number> {
  for (;;) {
    const greeted = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('error', () => resolve(false));
      socket.once('data', () => {
        socket.destroy();
        resolve(true);
      });
    });
    if (greeted) return Date.now();
    await sleep(5);
  }
}

function rounded(figures: Figures): Figures {
  return Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [name, Number(value.toPrecision(3))]),
  );
}
