/** The story of shaping.test.ts: many domains, some providers, and a host of nobody. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { Hop, type HopOptions } from '#test/kit/hop.ts';
import { NameServer, type Names } from '#test/kit/nameserver.ts';
import { mailrelay, type TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, manifestOf, startRelay } from './story.ts';

const DOMAINS = Array.from({ length: 40 }, (_, index) => `customer${index}.example`);

const NAMES: Names = {
  ...Object.fromEntries(
    DOMAINS.map((domain, index) => [
      domain,
      {
        MX: [
          [20, 'mx.backup.example'],
          [10, `mx${index % 4}.big.example`],
        ],
      } as const,
    ]),
  ),
  ...Object.fromEntries([0, 1, 2, 3].map((index) => [`mx${index}.big.example`, { A: ['192.0.2.1'] }])),
  'mx.backup.example': { A: ['192.0.2.3'] },
  'slow.example': { MX: [[10, 'mx.slow.example']] },
  'mx.slow.example': { A: ['192.0.2.2'] },
  'busy.example': { MX: [[10, 'mx.busy.example']] },
  'mx.busy.example': { A: ['192.0.2.4'] },
  'grey.example': { MX: [[10, 'mx.grey.example']] },
  'mx.grey.example': { A: ['192.0.2.5'] },
  'warm.example': { MX: [[10, 'mx.warm.example']] },
  'mx.warm.example': { A: ['192.0.2.6'] },
  'free.example': { MX: [[10, 'mx.backup.example']] },
};

let names: NameServer;
let relay: TestRelay;
const hops: Hop[] = [];
let big: Hop;
let slow: Hop;
let free: Hop;
let grey: Hop;
let warm: Hop;
let greyTries = 0;
/** When the slow host got messages. */
const slowTimes: number[] = [];

before(async () => {
  names = await NameServer.start(NAMES);
  const open = async (host: string, answer?: HopOptions['answer']) => {
    const hop = await Hop.start({ port: 25, host, ...(answer ? { answer } : {}) });
    hops.push(hop);
    return hop;
  };
  big = await open('192.0.2.1');
  slow = await open('192.0.2.2', ({ step }) => {
    if (step === 'message') slowTimes.push(performance.now());
    return undefined;
  });
  free = await open('192.0.2.3');
  await open('192.0.2.4', ({ step }) => (step === 'RCPT' ? '451 4.7.500 Server busy' : undefined));
  grey = await open('192.0.2.5', ({ step }) =>
    step === 'RCPT' && ++greyTries === 1 ? '451 4.7.1 greylisted' : undefined,
  );
  warm = await open('192.0.2.6');
  relay = await startRelay(SECTIONS);
});

/** Before its first day a warm-up has the limit of that day, also when midnight comes. */
const TOMORROW = new Date(Date.now() + 24 * 3_600_000).toISOString().slice(0, 10);
const SECTIONS = {
  outbound: `
tls: {level: None, discover: []}
providers:
  - {name: big, mxHosts: ["*.big.example"], limits: {connections: 2}}
  - {name: slow, mxHosts: [mx.slow.example], limits: {messagesPerMinute: 3}}
  - {name: grey, mxHosts: [mx.grey.example], retry: {minBackoff: 1s, maxBackoff: 1s, expireAfter: 1h}}
  - {name: warm, mxHosts: [mx.warm.example], limits: {messagesPerMinute: 60}, warmUp: {startDate: "${TOMORROW}", days: 30, messagesPerHour: 4}}
`,
};

after(async () => {
  await relay?.remove();
  for (const hop of hops) await hop.down();
  names?.stop();
});

test('all domains of a provider together have no more connections than it allows, idle ones counted', async () => {
  for (const domain of DOMAINS) await accepted(relay, { id: domain, to: [`a@${domain}`, `b@${domain}`] });
  await until('all of it', () => big.taken.length === DOMAINS.length);
  assert.ok(big.mostUnfinished <= 2, `${big.mostUnfinished} connections at a time`);
  assert.equal(big.sessions, DOMAINS.length);
  assert.deepEqual(big.ids().toSorted(), DOMAINS.toSorted());
  assert.equal(free.taken.length, 0);
});

test('the messages in a minute are limited, and nobody else waits', async () => {
  for (let index = 0; index < 8; index++)
    await accepted(relay, { id: `slow${index}`, to: ['a@slow.example'] });
  await until('the first ones', () => slow.taken.length >= 3);
  await accepted(relay, { id: 'free', to: ['a@free.example'] });
  await until('mail of others', () => free.ids().includes('free'));
  // A message arrives a moment after its delivery began, so the distance may be a little less than a minute.
  for (const [index, time] of slowTimes.slice(3).entries())
    assert.ok(time - (slowTimes[index] ?? 0) > 50_000, `${slowTimes}`);
});

test('a receiver that asks for fewer messages is slowed, and status, metrics and log tell it', async () => {
  await accepted(relay, { id: 'busy', to: ['a@busy.example'] });
  const slowed = await until('the status', async () => {
    const [first] = (await relay.status()).queue.slowed ?? [];
    return first;
  });
  const { seconds, ...others } = slowed;
  assert.deepEqual(others, { destination: 'busy.example', pace: '1/2', message: '451 4.7.500 Server busy' });
  assert.equal(typeof seconds, 'number');
  await until('the metrics', async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${relay.adminPort}/metrics`)).text();
    return /^mailrelay_slow_downs_total\{class="mx"\} 1$/m.test(metrics);
  });
  await until('the log', () => relay.stderr.includes('"event":"slowed_down"'));
  assert.match(
    await explain('a@busy.example'),
    /^slowed +busy\.example gets 1\/2 of its pace for \d+[sm] now: 451 4\.7\.500 Server busy$/m,
  );
  assert.doesNotMatch(await explain('a@free.example'), /^slowed/m);
});

test('mail that a provider puts off is tried again by the schedule of the provider', async () => {
  await accepted(relay, { id: 'later', to: ['a@grey.example'] });
  await until('it to arrive', () => grey.ids().includes('later'), 60_000);
  const told = await explain('a@grey.example');
  assert.match(told, /^tried again +every 1s \(outbound\.providers, grey\)$/m);
  assert.match(told, /^returned +after 1h \(outbound\.providers, grey\)$/m);
});

test('neither a new policy nor a crash of all processes begins an hour of a warm-up anew', async () => {
  for (let index = 0; index < 3; index++)
    await accepted(relay, { id: `warm${index}`, to: ['a@warm.example'] });
  await until('the first ones', () => warm.taken.length === 3);
  const router = relay.findTask('router/main.ts');
  const outbound = `${SECTIONS.outbound}limits: {connectionsPerDestination: 19}\n`;
  relay.edit(manifestOf(relay.ports[0], { outbound }));
  await until('the next router', () => relay.findTask('router/main.ts') !== router);
  for (let index = 3; index < 6; index++)
    await accepted(relay, { id: `warm${index}`, to: ['a@warm.example'] });
  await until('the last one of this hour', () => warm.taken.length === 4);
  await nothingMoreIsDue('policy');
  await until('it to be noted', () => countNoted('begun provider warm') === 4);
  await relay.kill9();
  await relay.up();
  await nothingMoreIsDue('crash');
});

/** Mail of others goes, and that of the warm-up stays. */
async function nothingMoreIsDue(id: string): Promise<void> {
  await accepted(relay, { id, to: ['a@free.example'] });
  await until('mail of others', () => free.ids().includes(id));
  await accepted(relay, { id: `${id} again`, to: ['a@warm.example', 'a@free.example'] });
  await until('mail to both', () => free.ids().includes(`${id} again`));
  assert.equal(warm.taken.length, 4);
}

function countNoted(key: string): number {
  const store = new DatabaseSync(join(relay.stateDir, 'queue.db'), { readOnly: true });
  try {
    const row = store.prepare('SELECT value FROM shaping WHERE key = ?').get(key) as { value: Uint8Array };
    const { begun } = JSON.parse(Buffer.from(row.value).toString()) as { begun: [number, number][] };
    return begun.reduce((sum, [, count]) => sum + count, 0);
  } finally {
    store.close();
  }
}

async function explain(to: string): Promise<string> {
  const file = join(relay.dir, 'relay.yaml');
  const { stdout, stderr, status } = await mailrelay([
    ...['explain', to, '-f', file],
    ...['--admin-port', String(relay.adminPort)],
  ]);
  assert.equal(status, 0, stderr);
  return stdout;
}
