/**
 * The story of complaints.test.ts: a mailbox provider complains about a mail of ours, and the webhook hears of it. What is
 * forged or no complaint is discarded, and nobody ever gets an answer.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import { Hop } from '#test/kit/hop.ts';
import { NameServer, type Names } from '#test/kit/nameserver.ts';
import { mailrelay, TestRelay } from '#test/kit/relay.ts';
import { type ComplaintTerms, keyName, keyRecord, makeComplaintMail } from '#test/kit/reportmail.ts';
import { messageText } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { Webhook } from '#test/kit/webhook.ts';
import { accepted, objectOf } from './story.ts';

const [PROVIDER, LOCALHOST] = ['192.0.2.2', '127.0.0.1'];
const TO = 'complaints@relay.example';
const JOE = 'joe@provider.example';
const KEY = `whsec_${randomBytes(32).toString('base64')}`;

const NAMES: { -readonly [name in keyof Names]: Names[name] } = {
  localhost: { A: [LOCALHOST] },
  // Whoever answers the provider reaches this host.
  'provider.example': { MX: [[10, 'mx.provider.example']] },
  'fbl.provider.example': { MX: [[10, 'mx.provider.example']] },
  'mx.provider.example': { A: [PROVIDER] },
  [keyName('provider.example')]: { TXT: [keyRecord('s=email')] },
  [keyName('broken.example')]: { broken: true },
};

let names: NameServer;
let relay: TestRelay;
let provider: Hop;
let hook: Webhook;

const manifest = ([port]: readonly number[], trust: string) => `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: complaints}
spec:
  hostname: relay.example.com
  inbound:
    starttls: Disabled
    listeners: [{name: smtp, port: ${port}}]
    clients: {networks: [127.0.0.0/8]}
    feedbackReports: {address: ${TO}}
  outbound:
    tls: {level: None, discover: []}
  queue: {history: 1d}
  events: {webhook: {url: "https://localhost:${hook.port}/mail", secretName: hook, trustConfigMapName: trust}}
${objectOf('Secret', 'hook', { secret: KEY })}${objectOf('ConfigMap', 'trust', { 'ca.crt': trust })}`;

before(async () => {
  names = await NameServer.start(NAMES);
  provider = await Hop.start({ port: 25, host: PROVIDER });
  const authority = await makeAuthority();
  hook = await Webhook.start(await authority.issue(['localhost']), KEY);
  relay = await TestRelay.start({ manifest: (ports) => manifest(ports, authority.cert) });
});

after(async () => {
  await relay?.remove();
  await provider?.down();
  await hook?.stop();
  names?.stop();
});

async function complain(terms: ComplaintTerms = {}, to = [TO]): Promise<string> {
  const text = (await makeComplaintMail(terms)).toString('latin1');
  return accepted(relay, { id: 'complaint', from: 'feedback@fbl.provider.example', to, text });
}

async function metric(name: string, labels: string): Promise<number> {
  const text = await relay.metrics();
  const line = text.split('\n').find((one) => one.startsWith(`mailrelay_${name}{${labels}} `));
  return Number(line?.split(' ').at(-1) ?? 0);
}

const complaints = () => hook.list('mail.complained').map(({ data }) => data);

/** The last complaint, once there are so many. */
async function hear(count: number) {
  await until(`${count} complaints`, () => complaints().length >= count);
  assert.equal(complaints().length, count);
  return complaints().at(-1);
}

test('a complaint about a mail of ours reaches the webhook, with the queue id of that mail', async () => {
  const text = `Message-ID: <offer1@client.example>\r\n${messageText('offer')}`;
  const queueId = await accepted(relay, { id: 'offer', to: [JOE], text });
  await until('the mail to arrive', () => provider.taken.length === 1);
  const reportQueueId = await complain({
    facts: [
      'Feedback-Type: abuse',
      'User-Agent: FBL/1.0',
      'Version: 1',
      'Original-Mail-From: <me@client.example>',
      `Original-Rcpt-To: <${JOE}>`,
      'Arrival-Date: Sat, 28 Nov 2026 12:00:00 +0000',
      'Reported-Domain: client.example',
      'Source-IP: 192.0.2.1',
    ],
    original: ['Message-ID: <offer1@client.example>', 'Subject: offer', '', 'Buy!'],
  });
  assert.deepEqual(await hear(1), {
    reporter: 'provider.example',
    reporterAddress: 'feedback@fbl.provider.example',
    feedbackType: 'abuse',
    queueId,
    messageId: 'offer1@client.example',
    from: 'me@client.example',
    recipients: [JOE],
    arrivedAt: '2026-11-28T12:00:00.000Z',
    reportedDomains: ['client.example'],
    sourceIp: '192.0.2.1',
    reportQueueId,
  });
  // The router tells its counts at intervals, so a webhook may be faster.
  await until('its count', async () => (await metric('complaints_total', 'type="abuse"')) === 1);
  assert.equal(await metric('feedback_reports_total', 'result="taken"'), 1);
  await relay.waitForOutput(/"complained".*"reporter":"provider\.example"/);
});

test('a provider that hides all but the message id is understood; another recipient gets the mail in a transaction of its own', async () => {
  const original = ['Message-ID: <offer1@client.example>', '', 'Buy!'];
  for (const to of [TO.toUpperCase(), JOE])
    await complain({ original, originalType: 'text/rfc822-headers' }, [to]);
  const heard = await hear(2);
  assert.match(String(heard?.['queueId']), /^\w+$/);
  assert.deepEqual([heard?.['queueId'], heard?.['recipients']], [complaints()[0]?.['queueId'], []]);
  await until('the copy to arrive', () => provider.taken.length === 2);
  await complain({ original: ['Message-ID: <unknown@client.example>'] });
  assert.equal((await hear(3))?.['queueId'], undefined);
});

test('of several mails with one message id, that to the recipient is named, and none if that is hidden', async () => {
  const text = `Message-ID: <offer2@client.example>\r\n${messageText('offer')}`;
  const original = ['Message-ID: <offer2@client.example>'];
  const facts = (to: string) => ['Feedback-Type: abuse', `Original-Rcpt-To: <${to}>`];
  const queueId = await accepted(relay, { id: 'offer', to: [JOE], text });
  await complain({ original, facts: facts('hidden@provider.example') });
  assert.equal((await hear(4))?.['queueId'], queueId);
  await accepted(relay, { id: 'offer', to: ['ann@provider.example'], text });
  await complain({ original, facts: facts('hidden@provider.example') });
  assert.equal((await hear(5))?.['queueId'], undefined);
  await complain({ original, facts: facts(JOE) });
  assert.equal((await hear(6))?.['queueId'], queueId);
  await until('the mail to arrive', () => provider.taken.length === 4);
});

test('what is forged or no complaint is discarded', async () => {
  const discarded = (result: string) => metric('feedback_reports_total', `result="${result}"`);
  await complain({ signer: undefined });
  await complain({ from: JOE, signer: 'evil.example' });
  await complain({ contentType: 'multipart/report; report-type=delivery-status; boundary=b1' });
  await complain({ facts: ['Version: 1'] });
  await until('two without a proof', async () => (await discarded('not_signed')) === 2);
  await until('one of another kind', async () => (await discarded('no_report')) === 1);
  await until('one without a type', async () => (await discarded('malformed')) === 1);
  await relay.waitForOutput(/"feedback_report_discarded".*"cause":"malformed"/);
  assert.equal(complaints().length, 6);
});

test('a key that cannot be looked up makes the complaint wait', async () => {
  const id = await complain({ from: 'a@broken.example', signer: 'broken.example' });
  const waits = (line: string) => line.includes('"deferred"') && line.includes(id);
  await until('the complaint to wait', () => relay.stderr.split('\n').some(waits));
  NAMES[keyName('broken.example')] = { TXT: [keyRecord()] };
  await mailrelay(['queue', 'retry', id, '--state', relay.stateDir]);
  assert.equal((await hear(7))?.['reporter'], 'broken.example');
});

test('a webhook that is dead and a kill lose no complaint, and nobody got an answer', async () => {
  hook.manner = 'refuse';
  await complain({ facts: ['Feedback-Type: fraud'] });
  await until(
    'the complaint to be taken',
    async () => (await metric('complaints_total', 'type="fraud"')) === 1,
  );
  await until('the queue to be empty', async () => (await relay.status()).queue.depth === 0);
  await relay.kill9();
  await relay.up();
  hook.manner = 'take';
  await until('the complaint', () => complaints().length === 8);
  assert.equal(complaints().at(-1)?.['feedbackType'], 'fraud');
  assert.equal(provider.taken.length, 4);
});
