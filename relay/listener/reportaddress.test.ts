/** Mail for the addresses of reports has bounds of its own, and nobody gets a DSN about it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOf } from '#test/kit/relayrig.ts';
import { REPLIES } from './reply.ts';
import { ReportAddress } from './reportaddress.ts';

const TO = 'tls-reports@relay.example';
const MIB = 1024 * 1024;

const COMPLAINTS = 'complaints@relay.example';

function makeAddress(
  tlsReports: { address: string } | null = { address: TO },
  feedbackReports?: { address: string },
) {
  const counted: string[] = [];
  const address = new ReportAddress(
    policyOf({ tlsReports, ...(feedbackReports ? { feedbackReports } : {}) }),
    async (of, who) => counted.push(`${of} ${who}`),
  );
  return { address, counted };
}

const sender = (args: object | false) => ({ address: 'a@company-x.example', args }) as never;
const recipients = (...all: string[]) => all.map((address) => ({ address, args: false })) as never;

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

test('sixty mails in a minute, counted over all sessions; other addresses are not counted', async () => {
  const { address, counted } = makeAddress();
  const replies = [];
  for (let n = 0; n < 62; n++) replies.push(await address.findRefusal(TO, sender(false)));
  assert.deepEqual(
    replies.map((reply) => reply?.code),
    [...Array(60).fill(undefined), 450, 450],
  );
  assert.equal(counted[0], `recipient ${TO}`);
  assert.equal(await address.findRefusal('you@example.com', sender(false)), undefined);
  assert.equal(counted.length, 62);
});

test('the address of complaints has bounds like that of TLS reports, and a count of its own', async () => {
  const { address, counted } = makeAddress({ address: TO }, { address: COMPLAINTS });
  assert.ok(address.matches(COMPLAINTS.toUpperCase()));
  await address.findRefusal(TO, sender(false));
  assert.equal(await address.findRefusal(COMPLAINTS.toUpperCase(), sender(false)), undefined);
  assert.deepEqual(counted, [`recipient ${TO}`, `recipient ${COMPLAINTS}`]);
  assert.equal(await address.findRefusal(COMPLAINTS, sender({ SIZE: `${2 * MIB + 1}` })), REPLIES.tooLarge);
  assert.equal(address.findMostBytes(recipients(TO, COMPLAINTS)), 2 * MIB);
  assert.deepEqual(address.withoutDsn({ state: 'queued', address: COMPLAINTS }).notify, ['NEVER']);
});

test('a mail for the address alone has 2 MiB at most, whatever the client announced', async () => {
  const { address } = makeAddress();
  assert.equal(await address.findRefusal(TO, sender({ SIZE: `${2 * MIB + 1}` })), REPLIES.tooLarge);
  assert.equal(await address.findRefusal(TO, sender({ SIZE: `${2 * MIB}` })), undefined);
  assert.equal(await address.findRefusal(TO, false), undefined);
  assert.equal(address.findMostBytes(recipients(TO)), 2 * MIB);
  assert.equal(address.findMostBytes(recipients(TO, 'you@example.com')), null);
});

test('the sender gets no DSN about it, whatever it asked for', () => {
  const { address } = makeAddress();
  const asked = { state: 'queued', notify: ['SUCCESS', 'FAILURE'] } as const;
  assert.deepEqual(address.withoutDsn({ ...asked, address: TO }).notify, ['NEVER']);
  assert.deepEqual(address.withoutDsn({ ...asked, address: 'you@example.com' }).notify, asked.notify);
});
