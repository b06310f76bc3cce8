/** Mail for the addresses of reports has bounds of its own, and nobody gets a DSN about it. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { SMTPServerSession } from 'smtp-server';
import { policyOf } from '#test/kit/relayrig.ts';
import { REPLIES, Refusal } from './reply.ts';
import { ReportAddress, type Reports } from './reportaddress.ts';

const TO = 'tls-reports@relay.example';
const MIB = 1024 * 1024;

const COMPLAINTS = 'complaints@relay.example';

function makeAddress(
  tlsReports: { address: string } | null = { address: TO },
  feedbackReports?: { address: string },
) {
  const counts = new Map<string, number>();
  const address = new ReportAddress(
    policyOf({
      tlsReports,
      ...(feedbackReports ? { feedbackReports } : {}),
      acceptDomains: ['relay.example'],
    }),
    async (of, who) => {
      const count = (counts.get(`${of} ${who}`) ?? 0) + 1;
      counts.set(`${of} ${who}`, count);
      return count;
    },
  );
  /** The code that a mail gets behind DATA. */
  const send = async (client: string, ...to: string[]) => {
    const stream = new PassThrough();
    try {
      await address.admit(stream as never, address.list(become(...to)), client);
      return 250;
    } catch (error) {
      assert.ok(error instanceof Refusal && stream.readableFlowing);
      return error.responseCode;
    }
  };
  return { address, counts, send };
}

const envelope = (args: object | false): SMTPServerSession['envelope'] =>
  ({ mailFrom: { address: 'a@company-x.example', args } }) as never;

const become = (...to: string[]) => to.map((address) => ({ address }));

test('the address is compared without regard to case; no other is one', () => {
  const { address } = makeAddress();
  assert.ok(address.matches('TLS-Reports@Relay.Example'));
  for (const other of [
    'tls-reports@example',
    'x@relay.example',
    'relay.example',
    '',
    'x-tls-reports@relay.example',
  ])
    assert.ok(!address.matches(other), other);
  assert.ok(!makeAddress(null).address.matches(TO));
  assert.ok(!makeAddress(null).address.matches(''));
});

test('sixty mails in a minute, counted over all sessions, and twenty of one network; nothing else counts', async () => {
  const { counts, send } = makeAddress();
  const sendMany = async (count: number, client: (n: number) => string) => {
    const codes: number[] = [];
    for (let n = 0; n < count; n++) codes.push(await send(client(n), TO));
    return codes.filter((code) => code === 250).length;
  };
  assert.equal(await sendMany(50, (n) => `192.0.2.${n}`), 20);
  assert.equal(await sendMany(50, (n) => `2001:db8:1:2::${n}`), 20);
  assert.equal(counts.get(`recipient ${TO}`), 40);
  assert.equal(await sendMany(30, (n) => `10.0.${n}.1`), 20);
  assert.equal(await send('198.51.100.1', TO.toUpperCase()), 450);
  const before = new Map(counts);
  assert.equal(await send('198.51.100.1', 'you@example.com'), 250);
  assert.deepEqual(counts, before);
});

test('RCPT counts nothing, and such an address is the only recipient of a mail', () => {
  const { address, counts } = makeAddress({ address: TO }, { address: COMPLAINTS });
  const give = (to: string, before?: string) =>
    address.findRefusal(
      address.list(become(to)),
      before === undefined ? undefined : address.list(become(before)),
      envelope(false),
    );
  for (let n = 0; n < 100; n++) assert.equal(give(TO), undefined);
  for (const before of [TO, COMPLAINTS, 'you@example.com'])
    assert.equal(give(TO, before), REPLIES.oneRecipient, before);
  assert.equal(give('you@example.com', TO), REPLIES.oneRecipient);
  assert.equal(give('you@example.com', 'me@example.com'), undefined);
  assert.equal(counts.size, 0);
});

test('a client that leaves while its mail is counted is no mail', async () => {
  const { address } = makeAddress();
  const stream = new PassThrough();
  const admitted = address.admit(stream as never, ['tlsReports'], '::1');
  stream.destroy();
  await assert.rejects(Promise.resolve(admitted), { message: REPLIES.aborted.text });
});

test('the address of complaints has bounds like that of TLS reports, and a count of its own', async () => {
  const { address, counts, send } = makeAddress({ address: TO }, { address: COMPLAINTS });
  assert.ok(address.matches(COMPLAINTS.toUpperCase()));
  await send('192.0.2.1', TO);
  await send('192.0.2.1', COMPLAINTS.toUpperCase());
  assert.deepEqual([counts.get(`recipient ${TO}`), counts.get(`recipient ${COMPLAINTS}`)], [1, 1]);
  const reports = address.list(become(COMPLAINTS));
  const large = envelope({ SIZE: `${2 * MIB + 1}` });
  assert.equal(address.findRefusal(reports, undefined, large), REPLIES.tooLarge);
  assert.equal(address.findMostBytes(reports), 2 * MIB);
  await send('192.0.2.1', TO, COMPLAINTS);
  assert.deepEqual([counts.get(`recipient ${TO}`), counts.get(`recipient ${COMPLAINTS}`)], [2, 2]);
});

test('a mail for the address has 2 MiB at most, whatever the client announced', () => {
  const { address } = makeAddress();
  const refusal = (to: string, bytes: number) =>
    address.findRefusal(address.list(become(to)), undefined, envelope({ SIZE: `${bytes}` }));
  assert.equal(refusal(TO, 2 * MIB + 1), REPLIES.tooLarge);
  assert.equal(refusal('you@example.com', 2 * MIB + 1), undefined);
  assert.equal(refusal(TO, 2 * MIB), undefined);
  assert.equal(address.findMostBytes(address.list(become('you@example.com', TO))), 2 * MIB);
  assert.equal(address.findMostBytes(address.list(become('you@example.com'))), null);
});

test('the sender gets no DSN about it, whatever it asked for', () => {
  const { address } = makeAddress();
  const asked = { state: 'queued', notify: ['SUCCESS', 'FAILURE'] } as const;
  const notify = (to: string, reports: Reports) =>
    address.withoutDsn({ ...asked, address: to }, reports).notify;
  // Also where it goes to one box for all.
  for (const to of [TO, 'box@example.com']) assert.deepEqual(notify(to, ['tlsReports']), ['NEVER']);
  assert.deepEqual(notify('you@example.com', []), asked.notify);
  assert.deepEqual(notify(TO, []), ['NEVER']);
});
