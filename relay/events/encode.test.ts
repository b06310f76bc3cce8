import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailEvent } from '../queue/mailevent.ts';
import type { QueueRecord, Recipient } from '../spool/record.ts';
import type { SpoolEvent } from '../spool/spool.ts';
import { encodeArrival, encodeEvents } from './encode.ts';

const ID = '06fjg1n2k4a8w2bc';

/** What the hop has said. */
const NOTHING = { hop: null, cause: null, status: null, text: '' };

const recordOf = (changes: Partial<QueueRecord>): QueueRecord => ({
  from: 'a@x.example',
  recipients: [],
  receivedAt: 1_000,
  smtpUtf8: false,
  eightBit: false,
  bytes: 9,
  crc: 0,
  body: 'store',
  ...changes,
});
const recipient = (address: string, ...given: string[]): Recipient => ({
  address,
  state: 'queued',
  ...(given.length > 0 ? { given } : {}),
});
const read = (events: readonly SpoolEvent[]) =>
  events.map(({ value }): Record<string, unknown> => {
    const { type, data } = JSON.parse(value.toString()) as { type: string; data: Record<string, unknown> };
    return { type, ...data };
  });

test('the addresses that the client gave are told where the relay has changed them', () => {
  const recipients = [
    recipient('ann@y.example', 'sales@y.example', 'info@y.example'),
    recipient('c@y.example'),
    recipient('bob@y.example', 'sales@y.example'),
  ];
  const record = recordOf({ givenFrom: 'root@web.x.example', recipients });
  const [accepted] = read(encodeArrival(ID, record, 9));
  assert.deepEqual(accepted, {
    type: 'mail.accepted',
    queueId: ID,
    from: 'a@x.example',
    originalFrom: 'root@web.x.example',
    recipients: ['ann@y.example', 'c@y.example', 'bob@y.example'],
    originalRecipients: ['sales@y.example', 'info@y.example'],
    recipientCount: 3,
    bytes: 9,
  });
  const delivered: MailEvent = { kind: 'delivered', id: ID, at: 1_000, to: 'ann@y.example', ...NOTHING };
  const [event] = read(encodeEvents(record, [{ ...delivered, given: ['sales@y.example'] }]));
  assert.deepEqual(
    [event?.['originalFrom'], event?.['originalTo']],
    ['root@web.x.example', ['sales@y.example']],
  );
});

test('what the relay has not changed is told once', () => {
  const [accepted] = read(encodeArrival(ID, recordOf({ recipients: [recipient('c@y.example')] }), 9));
  assert.deepEqual(Object.keys(accepted ?? {}), [
    'type',
    'queueId',
    'from',
    'recipients',
    'recipientCount',
    'bytes',
  ]);
});

test('mail that goes nowhere is told for each recipient', () => {
  const discarded = [{ address: 'gone@y.example', given: ['old@y.example'] }, { address: 'left@y.example' }];
  const told = read(encodeArrival(ID, recordOf({ discarded }), 9));
  assert.deepEqual(
    told.map((data) => [data['type'], data['to'] ?? data['recipientCount'], data['originalTo']]),
    [
      ['mail.accepted', 0, undefined],
      ['mail.discarded', 'gone@y.example', ['old@y.example']],
      ['mail.discarded', 'left@y.example', undefined],
    ],
  );
});

test('a complaint is an event of its own, beside the end of the mail that brought it', () => {
  const complaint = {
    reporter: 'provider.example',
    feedbackType: 'abuse',
    queueId: '06fjg1n2k4a8w2zz',
    messageId: 'm1@app.example.com',
    recipients: ['joe@provider.example'],
    reportedDomains: [],
  };
  const nothing = { hop: 'this relay', cause: null, status: '2.0.0', text: '250 2.0.0 taken' };
  const about = { kind: 'delivered', id: ID, at: 1_000, to: 'complaints@y.example', ...nothing } as const;
  const events = encodeEvents(recordOf({ from: '', messageId: 'report@x' }), [{ ...about, complaint }]);
  const [delivered, complained] = read(events);
  assert.deepEqual([delivered?.['type'], delivered?.['queueId']], ['mail.delivered', ID]);
  assert.deepEqual(complained, { type: 'mail.complained', ...complaint, reportQueueId: ID });
  assert.equal(new Set(events.map(({ key }) => key)).size, 2);
});

test('an event is small, and a message has few, whatever aliases made of its recipients', () => {
  const many = Array.from({ length: 1_000 }, (_, index) => `${index}@y.example`);
  const discarded = many.map((address) => ({ address, given: many }));
  const record = recordOf({ recipients: [recipient('ann@y.example', ...many)], discarded });
  const told = encodeArrival(ID, record, 9);
  assert.equal(told.length, 101);
  const keys = told.map(({ key }) => key);
  assert.deepEqual(keys, keys.toSorted(), 'they are sent in this order');
  assert.deepEqual(
    read(told).map((data) => (data['originalTo'] ?? data['originalRecipients']) as string[]),
    told.map(() => many.slice(0, 100)),
  );
  const deferred: MailEvent = {
    kind: 'deferred',
    id: ID,
    at: 1_000,
    to: 'a@y.example',
    given: many,
    ...NOTHING,
  };
  assert.deepEqual(read(encodeEvents(record, [deferred]))[0]?.['originalTo'], many.slice(0, 100));
});
