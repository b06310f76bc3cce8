/** When reports go, how often they are tried, and what a restart keeps; the clock and the targets are the test's. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { policyOf } from '#test/kit/relayrig.ts';
import { NO_FINDINGS } from '../delivery/tlsfindings.ts';
import type { NewMessage } from '../spool/spool.ts';
import { TlsReports, type TlsReportsDeps } from './tlsreports.ts';

const dir = mkdtempSync(join(tmpdir(), 'mailrelay-tlsrpt-'));
after(() => rmSync(dir, { recursive: true }));

const HOUR_MS = 3_600_000;
const terms = { from: 'reports@relay.example.com', contact: 'postmaster@example.com' };
const KEY = { domain: 'example.com', selector: 's1', secret: 'dkim', signs: true };
const session = {
  domain: 'good.example',
  mxHost: 'mx.good.example',
  address: '192.0.2.1',
  findings: NO_FINDINGS,
  failure: null,
};

let files = 0;

/** A relay whose clock is `rig.now`. */
async function makeRig(changes: Partial<TlsReportsDeps> = {}, path = join(dir, `${++files}.json`)) {
  const rig = {
    path,
    now: Date.parse('2026-11-28T12:00:00Z'),
    entered: [] as NewMessage[],
    logged: [] as string[],
    counted: [] as string[],
    asked: 0,
  };
  const deps: TlsReportsDeps = {
    policy: policyOf({}, { tlsReports: terms, dkim: [KEY] }),
    terms,
    path,
    wall: () => rig.now,
    random: () => 0.5,
    log: ((event: string, facts: object) => rig.logged.push(`${event} ${JSON.stringify(facts)}`)) as never,
    lookUpTxt: async () => {
      rig.asked += 1;
      return [['v=TLSRPTv1; rua=mailto:tls@sink.example']];
    },
    lookUp: async () => [],
    context: () => createSecureContext(),
    enter: async (message) => {
      rig.entered.push(message);
    },
    count: (result, by) => rig.counted.push(`${result},${by}`),
    ...changes,
  };
  const reports = new TlsReports(deps);
  // The first look is that of the start.
  await reports.look();
  return { rig, reports };
}

test('a report goes once, after the day and its random time, and only for days that are over', async () => {
  const { rig, reports } = await makeRig();
  reports.seen(session);
  rig.now = Date.parse('2026-11-29T01:59:00Z');
  await reports.look();
  assert.equal(rig.entered.length, 0);
  reports.seen(session);
  rig.now = Date.parse('2026-11-29T02:01:00Z');
  await reports.look();
  await reports.look();
  assert.deepEqual(rig.counted, ['sent,mailto']);
  const [message] = rig.entered;
  assert.deepEqual(message?.envelope, {
    from: terms.from,
    recipients: [{ address: 'tls@sink.example', state: 'queued', notify: ['NEVER'] }],
    receivedAt: rig.now,
    smtpUtf8: false,
    eightBit: false,
    ours: true,
    tlsReport: true,
  });
  assert.match(rig.logged.join(), /^tls_report .*"day":"2026-11-28".*"successes":1,"failures":0/);
  rig.now += 24 * HOUR_MS;
  await reports.look();
  assert.equal(rig.entered.length, 2, 'the next day has a report of its own');
  await reports.close();
});

test('the counts survive a restart, and so does what was sent', async () => {
  const before = await makeRig();
  before.reports.seen(session);
  await before.reports.close();
  const { rig, reports } = await makeRig({}, before.rig.path);
  reports.seen(session);
  rig.now += 24 * HOUR_MS;
  await reports.look();
  assert.match(rig.logged.join(), /"successes":2/);
  await reports.close();
  const last = await makeRig({}, before.rig.path);
  last.rig.now = rig.now;
  await last.reports.look();
  assert.deepEqual(last.rig.entered, []);
  await last.reports.close();
});

test('a domain without a record is asked once, and forgotten', async () => {
  let asked = 0;
  const lookUpTxt = async () => {
    asked += 1;
    return [];
  };
  const { rig, reports } = await makeRig({ lookUpTxt });
  reports.seen(session);
  rig.now += 24 * HOUR_MS;
  await reports.look();
  rig.now += 2 * HOUR_MS;
  await reports.look();
  assert.deepEqual([asked, rig.logged], [1, []]);
  await reports.close();
});

test('what cannot be sent is tried every hour for a day, and then given up', async () => {
  let tries = 0;
  const enter = async () => {
    tries += 1;
    throw new Error('the disk is full');
  };
  const { rig, reports } = await makeRig({ enter });
  reports.seen(session);
  rig.now += 24 * HOUR_MS;
  for (let hour = 0; hour < 30; hour++) {
    await reports.look();
    await reports.look();
    rig.now += HOUR_MS;
  }
  assert.deepEqual([tries, rig.asked], [24, 1]);
  assert.deepEqual(rig.counted, [...Array(23).fill('delayed,mailto'), 'failed,mailto']);
  assert.match(rig.logged.at(-1) ?? '', /^tls_report_failed .*the disk is full.*"willRetry":false/);
  await reports.close();
});

test('a look-up that fails is no word that there is no record', async () => {
  let asked = 0;
  const lookUpTxt = async () => {
    asked += 1;
    if (asked < 3) throw new Error('SERVFAIL');
    return [['v=TLSRPTv1; rua=mailto:tls@sink.example']];
  };
  const { rig, reports } = await makeRig({ lookUpTxt });
  reports.seen(session);
  for (const _ of [1, 2, 3]) {
    rig.now += 24 * HOUR_MS;
    await reports.look();
  }
  assert.equal(rig.entered.length, 1);
  await reports.close();
});

test('without a key for the domain of the sender no report goes by mail, and the log says so', async () => {
  const policy = policyOf({}, { tlsReports: terms, dkim: [{ ...KEY, domain: 'other.example' }] });
  const { rig, reports } = await makeRig({ policy });
  reports.seen(session);
  rig.now += 24 * HOUR_MS;
  await reports.look();
  assert.deepEqual([rig.entered, rig.counted], [[], ['failed,mailto']]);
  assert.match(rig.logged.join(), /no key of outbound\.dkim signs for relay\.example\.com: add one/);
  await reports.close();
});

test('a report is not posted to an address, nor to a host of an own network', async () => {
  for (const [url, reason] of [
    ['https://192.0.2.1/', /names an address/],
    ['https://inside.example/', /no public address/],
  ] as const) {
    const lookUpTxt = async () => [[`v=TLSRPTv1; rua=${url}`]];
    const { rig, reports } = await makeRig({ lookUpTxt, lookUp: async () => ['10.0.0.1', '::1'] });
    reports.seen(session);
    rig.now += 24 * HOUR_MS;
    await reports.look();
    assert.match(rig.logged.join(), reason);
    await reports.close();
  }
});

test('a name server that does not answer holds up nobody who wants the queue, and the counts stay', async () => {
  const lookUpTxt = () => new Promise<never>(() => undefined);
  const { rig, reports } = await makeRig({ lookUpTxt });
  reports.seen(session);
  rig.now += 24 * HOUR_MS;
  const looking = reports.look();
  await reports.close();
  await looking;
  const next = await makeRig({}, rig.path);
  next.rig.now = rig.now + 2 * HOUR_MS;
  await next.reports.look();
  assert.deepEqual(next.rig.counted, ['sent,mailto']);
  await next.reports.close();
});

test('a look-up or a post that never ends holds no report of another domain up', async (context) => {
  const rua = (name: string) =>
    name.includes('post') ? 'https://never.example/' : 'mailto:tls@sink.example';
  const never = () => new Promise<never>(() => undefined);
  const lookUpTxt = async (name: string) =>
    name.includes('silent') ? never() : [[`v=TLSRPTv1; rua=${rua(name)}`]];
  const { rig, reports } = await makeRig({ lookUpTxt, lookUp: never });
  for (const domain of ['silent.example', 'post.example', 'good.example'])
    reports.seen({ ...session, domain });
  rig.now += 24 * HOUR_MS;
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  context.mock.method(AbortSignal, 'timeout', () => timeout(50));
  // Keeps the process alive, as the sockets of a relay do.
  const alive = setTimeout(() => undefined, 5_000);
  await reports.look();
  assert.deepEqual(rig.counted.toSorted(), ['delayed,https', 'sent,mailto']);
  rig.now += 2 * HOUR_MS;
  await reports.look();
  await reports.close();
  clearTimeout(alive);
});
