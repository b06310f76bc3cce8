/** Look-ups of TLSA records at real DNS servers on the loopback: one that works, one that fails, none, and a silent one. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { type TestContext, test } from 'node:test';
import { NameServer, type Names } from '#test/kit/nameserver.ts';
import { freePort } from '#test/kit/ports.ts';
import { until } from '#test/kit/wait.ts';
import type { DnsAnswer } from './records/keyplan.ts';
import { TlsaLookups } from './tlsalookups.ts';

const NAME = '_25._tcp.relay.example.com';
const [OLD, NEW, OTHER] = ['aa', 'bb', 'cc'].map((byte) => Buffer.from(byte.repeat(32), 'hex')) as [
  Buffer,
  Buffer,
  Buffer,
];
const print = (digest: Buffer) => `3 1 1 ${digest.toString('hex')}`;
const WANTED = [{ name: NAME, values: [print(OLD), print(NEW)] }];
const KEY = 'mail/relay';

interface Rig {
  readonly lookups: TlsaLookups;
  /** How often an answer was told. */
  readonly told: () => number;
  readonly pass: (ms: number) => void;
  readonly answer: () => DnsAnswer | undefined;
}

function look(t: TestContext, port: number, lookupMs?: number): Rig {
  let [told, now] = [0, 0];
  const lookups = new TlsaLookups({
    onAnswer: () => {
      told += 1;
    },
    monotonic: () => now,
    servers: [`127.0.0.1:${port}`],
    ...(lookupMs === undefined ? {} : { lookupMs }),
  });
  t.after(() => lookups.stop());
  const pass = (ms: number) => {
    now += ms;
  };
  return { lookups, told: () => told, pass, answer: () => lookups.answersFor(KEY)?.get(NAME) };
}

async function serve(t: TestContext, names: Names): Promise<{ port: number; server: NameServer }> {
  const port = await freePort();
  const server = await NameServer.start(names, port);
  t.after(() => server.stop());
  return { port, server };
}

test('what DNS has of the records, and nothing of what else it has', async (t) => {
  for (const [has, shown] of [
    [
      [OLD, NEW, OTHER],
      [print(OLD), print(NEW)],
    ],
    [[OLD], [print(OLD)]],
    [[], []],
  ] as const) {
    const { port } = await serve(t, { [NAME]: { TLSA: has } });
    const { lookups, answer } = look(t, port);
    lookups.follow(KEY, WANTED);
    assert.deepEqual(await until('the answer', answer), { kind: 'found', values: shown });
  }
  const { port } = await serve(t, {});
  const { lookups, answer } = look(t, port);
  lookups.follow(KEY, WANTED);
  assert.deepEqual(await until('the answer', answer), { kind: 'found', values: [] }, 'no such name');
});

test('a look-up that fails says why, and ends although nobody answers', async (t) => {
  const broken = await serve(t, { [NAME]: { broken: true } });
  const silent = createSocket('udp4');
  await new Promise<void>((bound) => silent.bind(0, '127.0.0.1', bound));
  t.after(() => silent.close());
  for (const [port, why] of [
    [broken.port, /SERVFAIL/],
    [await freePort(), /ECONNREFUSED|no name server answers/],
    [silent.address().port, /no name server answers/],
  ] as const) {
    const { lookups, answer } = look(t, port, 500);
    lookups.follow(KEY, WANTED);
    const told = await until('the answer', answer);
    assert.equal(told.kind, 'failed');
    assert.match(told.kind === 'failed' ? told.why : '', why);
  }
});

test('equal looks ask once in a while, equal answers are told once, and a relay that waits for nothing asks nothing', async (t) => {
  const names = { [NAME]: { TLSA: [OLD] } };
  const { port, server } = await serve(t, names);
  const { lookups, told, pass, answer } = look(t, port);
  lookups.follow('mail/other', []);
  lookups.follow(KEY, WANTED);
  await until('the answer', answer);
  lookups.follow(KEY, WANTED);
  pass(24_999);
  lookups.follow(KEY, WANTED);
  assert.equal(server.asked.length, 1);
  pass(1);
  lookups.follow(KEY, WANTED);
  assert.deepEqual(answer(), { kind: 'found', values: [print(OLD)] }, 'until then the last one counts');
  await until('the second question', () => server.asked.length === 2);
  // Other records are looked up at once, and the answer about the earlier ones counts no more.
  lookups.follow(KEY, [{ name: NAME, values: [print(OLD), print(OTHER)] }]);
  assert.equal(answer(), undefined);
  await until('the third question', () => server.asked.length === 3);
  await until('the answer', answer);
  assert.equal(told(), 2);
  names[NAME].TLSA.push(OTHER);
  pass(25_000);
  lookups.follow(KEY, [{ name: NAME, values: [print(OLD), print(OTHER)] }]);
  await until('the change', () => told() === 3);
  lookups.follow(KEY, []);
  assert.equal(answer(), undefined);
  pass(60_000);
  lookups.follow(KEY, []);
  assert.equal(server.asked.length, 4);
});

test('a relay that waits for its records now and then is looked up once in a while all the same', async (t) => {
  const { port, server } = await serve(t, { [NAME]: { TLSA: [OLD] } });
  const { lookups, told, pass, answer } = look(t, port);
  lookups.follow(KEY, WANTED);
  await until('the answer', answer);
  for (let round = 0; round < 20; round += 1) {
    lookups.follow(KEY, []);
    assert.equal(answer(), undefined);
    lookups.follow(KEY, WANTED);
  }
  // Asked last: the server has had every earlier question when this one is answered.
  lookups.follow('mail/other', WANTED);
  await until('the answer to the other', () => lookups.answersFor('mail/other'));
  assert.deepEqual([server.asked.length, told()], [2, 2]);
  pass(25_000);
  lookups.follow(KEY, WANTED);
  await until('the second answer', answer);
  assert.deepEqual([server.asked.length, told()], [3, 3]);
});
