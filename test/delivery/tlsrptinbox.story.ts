/**
 * The story of tlsrptinbox.test.ts: strangers send mail to the address of TLS reports. Good reports are counted and shown,
 * all other mail is discarded, and nobody ever gets an answer.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Hop } from '#test/kit/hop.ts';
import { peakMiB } from '#test/kit/memory.ts';
import { NameServer, type Names } from '#test/kit/nameserver.ts';
import { mailrelay, TestRelay } from '#test/kit/relay.ts';
import { keyName, keyRecord, makeReport, makeReportMail } from '#test/kit/reportmail.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, type Mail, submit } from './story.ts';

const [STRANGER, STORE] = ['192.0.2.2', '192.0.2.3'];
const TO = 'tls-reports@relay.example';
const MIB = 1024 * 1024;

const NAMES: { -readonly [name in keyof Names]: Names[name] } = {
  // Whoever answers a stranger reaches this host.
  'company-x.example': { MX: [[10, 'mx.company-x.example']] },
  'mx.company-x.example': { A: [STRANGER] },
  [keyName('company-x.example')]: { TXT: [keyRecord('s=tlsrpt')] },
  [keyName('email.example')]: { TXT: [keyRecord('s=email')] },
  [keyName('broken.example')]: { broken: true },
};

let names: NameServer;
let relay: TestRelay;
let stranger: Hop;
let store: Hop;

const manifest = ([port]: readonly number[]) => `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: reports}
spec:
  hostname: relay.example.com
  inbound:
    starttls: Disabled
    listeners: [{name: smtp, port: ${port}}]
    acceptDomains: [example.com]
    tlsReports: {address: ${TO}}
    limits: {messageSize: 30Mi}
  outbound:
    tls: {discover: []}
    routes: [{recipientDomains: [example.com], hosts: [{host: ${STORE}, port: 25}]}]
`;

before(async () => {
  names = await NameServer.start(NAMES);
  stranger = await Hop.start({ port: 25, host: STRANGER });
  store = await Hop.start({ port: 25, host: STORE });
  relay = await TestRelay.start({ manifest });
});

after(async () => {
  await relay?.remove();
  await stranger?.down();
  await store?.down();
  names?.stop();
});

async function send(terms: Parameters<typeof makeReportMail>[0], mail: Partial<Mail> = {}): Promise<string> {
  const text = (await makeReportMail(terms)).toString('latin1');
  return accepted(relay, { id: 'report', from: 'tlsrpt@company-x.example', to: [TO], text, ...mail });
}

/** The value of a metric with these labels; 0 if it does not exist. */
async function metric(name: string, labels: string): Promise<number> {
  const text = await relay.metrics();
  const line = text.split('\n').find((one) => one.startsWith(`mailrelay_${name}{${labels}} `));
  return Number(line?.split(' ').at(-1) ?? 0);
}

const received = (result: string) => metric('tls_reports_received_total', `result="${result}"`);

test('a signed report of a stranger is counted, and another recipient gets it in a transaction of its own', async () => {
  for (const to of ['you@example.com', TO.toUpperCase()]) await send({}, { to: [to] });
  await until('the report to be taken', async () => (await received('taken')) === 1);
  const sessions = (result: string) =>
    metric('tls_report_sessions_total', `reporter="company-x.example",result="${result}"`);
  await until('its sessions to be counted', async () => (await sessions('success')) === 5326);
  assert.equal(await sessions('certificate-expired'), 100);
  await until('the copy to arrive', () => store.taken.length === 1);
  assert.deepEqual(store.taken[0]?.to, ['you@example.com']);
  await relay.waitForOutput(/"tls_report_received".*"reporter":"company-x\.example"/);
});

test('the same report again is known', async () => {
  await send({});
  await until('the report to be looked at', async () => (await received('duplicate')) === 1);
});

test('the command shows it, in words and as JSON', async () => {
  const { stdout } = await mailrelay(['tlsrpt', 'received', '--state', relay.stateDir]);
  assert.match(stdout, /^received +\d{4}-.*, signed by company-x\.example\nfrom +Company-X, contact/);
  assert.match(stdout, /^sessions +5326 encrypted as the policy wants it, 303 failed$/m);
  const json = await mailrelay(['tlsrpt', 'received', '--state', relay.stateDir, '-o', 'json']);
  const [one, ...more] = JSON.parse(json.stdout);
  assert.deepEqual([one.reporter, one.report, more], ['company-x.example', makeReport(), []]);
});

test('what is forged, foreign or no report is discarded', async () => {
  await send({ signer: undefined });
  await send({ from: 'a@evil.example', signer: 'evil.example', submitter: 'company-x.example' });
  await send({ from: 'a@email.example', signer: 'email.example', submitter: 'email.example' });
  await until('three mails without a proof', async () => (await received('not_signed')) === 3);
  await send({ content: Buffer.from('no report') });
  await send({ type: 'application/gzip' });
  await until('a mail with a broken report', async () => (await received('malformed')) === 1);
  await until('a mail without a report', async () => (await received('no_report')) === 1);
});

test('a bomb of one gigabyte costs the router little memory', async () => {
  const bomb = Buffer.concat(Array(64).fill(gzipSync(Buffer.alloc(16 * MIB))));
  const router = relay.findTask('router/main.ts');
  const peak = await peakMiB([router], async () => {
    await send({ content: bomb });
    await until('the bomb to be looked at', async () => (await received('too_large')) === 1);
  });
  assert.ok(peak < 250, `${peak} MiB`);
  assert.equal(relay.findTask('router/main.ts'), router);
});

test('a mail for the address has 2 MiB at most, and no other recipient', async () => {
  const mail = { id: 'large', from: 'a@company-x.example' };
  assert.match(await submit(relay, { ...mail, to: [TO], mail: `SIZE=${3 * MIB}` }), /^552 5\.3\.4/);
  const text = `Subject: large\r\n\r\n${`${'x'.repeat(998)}\r\n`.repeat(3_000)}`;
  assert.match(await submit(relay, { ...mail, to: [TO], text }), /^552 5\.3\.4/);
  for (const to of [
    [TO, 'you@example.com'],
    ['you@example.com', TO],
  ])
    assert.match(await submit(relay, { ...mail, to, text }), /^452 4\.5\.3/);
  await accepted(relay, { ...mail, to: ['you@example.com'], text });
  await until('the large mail to arrive', () => store.taken.length === 2);
  assert.match(await submit(relay, { id: 'other', to: ['tls-reports@other.example'] }), /^550 5\.7\.1/);
});

test('a key that cannot be looked up makes the report wait', async () => {
  const terms = { from: 'a@broken.example', signer: 'broken.example', submitter: 'broken.example' };
  const content = gzipSync(JSON.stringify(makeReport({ 'report-id': 'late' })));
  const id = await send({ ...terms, content });
  const waits = (line: string) => line.includes('"deferred"') && line.includes(id);
  await until('the report to wait', () => relay.stderr.split('\n').some(waits));
  NAMES[keyName('broken.example')] = { TXT: [keyRecord()] };
  await mailrelay(['queue', 'retry', id, '--state', relay.stateDir]);
  await until('the report to be taken', async () => (await received('taken')) === 2);
});

test('after the day one event tells the sums, and nobody got an answer', async () => {
  await until('the queue to be empty', async () => (await relay.status()).queue.depth === 0);
  await relay.stop();
  const path = join(relay.stateDir, 'tlsrpt-received.json');
  const kept = JSON.parse(readFileSync(path, 'utf8'));
  const [today] = kept.days;
  const day = new Date(Date.parse(today.day) - 86_400_000).toISOString().slice(0, 10);
  writeFileSync(path, JSON.stringify({ ...kept, days: [{ ...today, day }] }));
  await relay.up();
  const sums = { day, reports: 2, discarded: 6, successes: 2 * 5326, failures: 2 * 303 };
  await until('the sums to be told', async () => (await relay.status()).tlsReports?.day === day);
  assert.deepEqual((await relay.status()).tlsReports, sums);
  await relay.waitForOutput(/"tls_reports_of_day"/);
  const told = relay.stderr.split('\n').filter((line) => line.includes('"tls_reports_of_day"'));
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /"reports":2,"discarded":6,"successes":10652,"failures":606/);
  assert.deepEqual(stranger.taken, []);
});
