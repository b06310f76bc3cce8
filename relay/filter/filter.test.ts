import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { FilterTerms } from '#crds/policyfilter.ts';
import { makeAuthority } from '#test/kit/ca.ts';
import { FilterServer } from '#test/kit/filterserver.ts';
import { HOSTNAME, traceOf, trusting } from '#test/kit/relayrig.ts';
import { until } from '#test/kit/wait.ts';
import { Counters } from '../task/counts.ts';
import { type Materials, NO_MATERIALS } from '../task/materials.ts';
import { ContentFilter, type Decision, type FilteredMail } from './filter.ts';

const MESSAGE = 'Subject: hello\r\n\r\nbody\r\n';

let server: FilterServer;
let now: number;
let logged: unknown[];
let counters: Counters;

before(async () => {
  server = await FilterServer.start();
});
after(() => server.stop());
beforeEach(() => {
  server.manner = 'answer';
  server.answer = '{"action": "no action"}';
  server.questions.length = 0;
  now = 1_000_000;
  logged = [];
  counters = new Counters();
});

interface Wish {
  readonly url?: string;
  readonly secret?: string | null;
  readonly trustConfigMap?: string | null;
}

const WITH_PASSWORD = { ...NO_MATERIALS, secrets: { rspamd: { password: 'secret\n' } } };

function open(
  { url = `${server.url}/checkv2`, secret = null, trustConfigMap = null }: Wish = {},
  materials: Materials = WITH_PASSWORD,
) {
  return new ContentFilter({ url, secret, trustConfigMap }, materials, {
    log: (event, facts) => logged.push([event, facts]),
    counters,
    clock: () => now,
  });
}

function mail(changes: Partial<FilteredMail> = {}): FilteredMail {
  const text = Buffer.from(MESSAGE);
  return {
    trace: traceOf({ recipients: ['joe@example.com', 'ann@example.com'] }),
    sender: 'app@client.example',
    login: null,
    bytes: text.length,
    body: (async function* () {
      yield text;
    })(),
    ...changes,
  };
}

/** Only a filter that is expected to be late gets a short time. */
const decide = (filter: ContentFilter, onFailure: FilterTerms['onFailure'], message = mail()) =>
  filter.decide(message, { timeoutSeconds: ['hang', 'drip'].includes(server.manner) ? 1 : 60, onFailure });

const readFront = (decision: Decision) =>
  decision.kind === 'take' ? decision.step.front?.(traceOf()) : undefined;

test('the filter gets the message once, as it was received, and the facts of its session', async () => {
  const tls = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', group: null };
  const trace = traceOf({ recipients: ['joe@example.com', 'jörg@example.com'], tls });
  await decide(open({ secret: 'rspamd' }), 'Tempfail', mail({ trace, login: 'shop' }));
  const [question = assert.fail(), ...more] = server.questions;
  assert.deepEqual([more.length, question.path, question.body], [0, '/checkv2', MESSAGE]);
  const { headers } = question;
  assert.deepEqual(
    ['queue-id', 'mta-name', 'ip', 'helo', 'from', 'user', 'password'].map((name) => headers[name]),
    [trace.queueId, HOSTNAME, '127.0.0.1', 'client.example', 'app@client.example', 'shop', 'secret'],
  );
  assert.deepEqual(
    [headers['rcpt'], headers['tls-version'], headers['tls-cipher']],
    ['joe@example.com, jÃ¶rg@example.com', tls.version, tls.cipher],
  );
});

test('a login and a password that do not exist are not told', async () => {
  await decide(open(), 'Tempfail');
  const { headers } = server.questions[0] ?? assert.fail();
  assert.deepEqual(
    ['user', 'password', 'tls-version'].filter((name) => name in headers),
    [],
  );
});

for (const [manner, reason] of [
  ['hang', /^no answer within 1 s$/],
  ['drip', /^no answer within 1 s$/],
  ['flood', /^the answer is longer than 1024 KiB$/],
  ['cut', /^the answer ended too early$/],
  ['reset', /socket hang up|ECONNRESET/],
  ['error', /^HTTP status 500$/],
  ['redirect', /^HTTP status 307, and redirects are not followed$/],
] as const) {
  test(`a filter that does this is a failure, and onFailure decides: ${manner}`, async () => {
    server.manner = manner;
    const filter = open();
    assert.deepEqual(await decide(filter, 'Tempfail'), { kind: 'unavailable' });
    assert.equal(readFront(await decide(filter, 'Accept')), 'X-Mailrelay-Unfiltered: Yes\r\n');
    const [[event, { message }] = assert.fail()] = logged as [string, { message: string }][];
    assert.equal(event, 'filter_failed');
    assert.match(message, reason);
    assert.equal(counters.take()?.counts['filtered{failed}'], 2);
    assert.ok(server.questions.every(({ path }) => path === '/checkv2'));
  });
}

test('a filter that nobody runs is a failure', async () => {
  const gone = await FilterServer.start();
  await gone.stop();
  assert.deepEqual(await decide(open({ url: gone.url }), 'Tempfail'), { kind: 'unavailable' });
});

test('a message that cannot be read back is a failure', async () => {
  const body = (async function* () {
    yield Buffer.from('Subj');
    throw new Error('the disk is gone');
  })();
  assert.deepEqual(await decide(open(), 'Tempfail', mail({ body })), { kind: 'unavailable' });
});

test('without its password, or without an authority, the filter is not asked', async () => {
  for (const wish of [
    { secret: 'other' },
    { url: server.url.replace('http', 'https'), trustConfigMap: 'none' },
  ])
    assert.deepEqual(await decide(open(wish), 'Tempfail'), { kind: 'unavailable' });
  assert.equal(server.questions.length, 0);
});

test('over TLS the filter is asked if an authority of trustConfigMap vouches for its name, and else not at all', async () => {
  const [ours, another] = await Promise.all([makeAuthority('ours'), makeAuthority('another')]);
  const asked = async (name: string, trusted: string, use?: string) => {
    const secure = await FilterServer.start(await ours.issue([name]));
    try {
      const url = `${secure.url}/checkv2`;
      const filter = open({ url, trustConfigMap: 'ca' }, trusting('ca', trusted));
      if (use !== undefined) filter.use(trusting('ca', use));
      const { kind } = await decide(filter, 'Tempfail');
      return [kind, secure.questions.map(({ body }) => body)];
    } finally {
      await secure.stop();
    }
  };
  assert.deepEqual(await asked('localhost', ours.cert), ['take', [MESSAGE]]);
  assert.deepEqual(await asked('localhost', another.cert, ours.cert), ['take', [MESSAGE]]);
  assert.deepEqual(await asked('localhost', another.cert), ['unavailable', []]);
  assert.deepEqual(await asked('other.example', ours.cert), ['unavailable', []]);
});

test('a filter whose authority is taken out of the bundle gets no message more, although it got one before', async () => {
  const [ours, another] = await Promise.all([makeAuthority('ours'), makeAuthority('another')]);
  const secure = await FilterServer.start(await ours.issue(['localhost']));
  try {
    const filter = open({ url: `${secure.url}/checkv2`, trustConfigMap: 'ca' }, trusting('ca', ours.cert));
    assert.equal((await decide(filter, 'Tempfail')).kind, 'take');
    filter.use(trusting('ca', another.cert));
    assert.equal((await decide(filter, 'Tempfail')).kind, 'unavailable');
    assert.equal(secure.questions.length, 1);
  } finally {
    await secure.stop();
  }
});

test('a message that waits for a connection is asked about by the bundle of its own time, not of those before', async () => {
  const [ours, another] = await Promise.all([makeAuthority('ours'), makeAuthority('another')]);
  const secure = await FilterServer.start(await ours.issue(['localhost']));
  secure.manner = 'hang';
  const filter = open({ url: `${secure.url}/checkv2`, trustConfigMap: 'ca' }, trusting('ca', ours.cert));
  const before = Array.from({ length: 64 }, () => decide(filter, 'Tempfail'));
  await until('all connections are in use', () => secure.questions.length === 64);
  filter.use(trusting('ca', another.cert));
  const waiting = decide(filter, 'Tempfail');
  // It waits in the agent.
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
  secure.manner = 'answer';
  secure.cut();
  await Promise.all(before);
  const { kind } = await waiting;
  await secure.stop();
  assert.deepEqual([kind, secure.questions.length], ['unavailable', 64]);
});

test('the status tells a failure after ten seconds, until the filter judges a message', async () => {
  const filter = open();
  server.manner = 'error';
  await decide(filter, 'Accept');
  assert.equal(filter.failure, null);
  now += 10_000;
  assert.equal(filter.failure, 'HTTP status 500');
  server.manner = 'answer';
  await decide(filter, 'Accept');
  assert.equal(filter.failure, null);
});

test('what the filter wants to quarantine or to discard is taken, and held', async () => {
  const filter = open();
  for (const action of ['quarantine', 'discard']) {
    server.answer = JSON.stringify({ action });
    const decision = await decide(filter, 'Tempfail');
    assert.ok(decision.kind === 'take');
    assert.equal(decision.heldBecause, `the content filter wants to ${action} it`);
  }
});
