/** The deliveries in a log that grows, however its lines arrive. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DeliveryTail } from './deliverytail.ts';

let dir: string;
let log: string;

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'mailrelay-tail-'));
  log = join(dir, 'relay.log');
});
after(() => rmSync(dir, { recursive: true, force: true }));

const line = (event: string, to: string) =>
  `${JSON.stringify({ time: '2026-01-01T00:00:00.000Z', task: 'router', event, to, hop: 'h:25' })}\n`;
const names = (tail: DeliveryTail) => tail.read().map(({ event, to }) => `${event} ${to}`);

test('what was logged before is not shown, and what comes is shown with the latest first', () => {
  writeFileSync(log, line('delivered', 'before'));
  const tail = new DeliveryTail(log);
  assert.deepEqual(names(tail), []);
  appendFileSync(
    log,
    line('accepted', 'a') + line('delivered', 'a') + line('deferred', 'b') + line('bounced', 'c'),
  );
  assert.deepEqual(names(tail), ['bounced c', 'deferred b', 'delivered a']);
  appendFileSync(log, line('delivered', 'd'));
  assert.deepEqual(names(tail)[0], 'delivered d');
  tail.close();
});

test('a destination that is tried again and again has one line, the latest, and is named', () => {
  writeFileSync(log, '');
  const tail = new DeliveryTail(log);
  const away = (name: string, reason: string) =>
    `${JSON.stringify({ time: '', event: 'deferred', destination: name, reason })}\n`;
  appendFileSync(log, line('delivered', 'a') + away('away.example', 'first') + away('other.example', ''));
  assert.deepEqual(names(tail), ['deferred other.example', 'deferred away.example', 'delivered a']);
  for (let round = 0; round < 100; round++) appendFileSync(log, away('away.example', String(round)));
  appendFileSync(log, line('delivered', 'a'));
  assert.deepEqual(names(tail), [
    'delivered a',
    'deferred away.example',
    'deferred other.example',
    'delivered a',
  ]);
  assert.deepEqual(
    tail.read().map(({ hop, reason }) => [hop, reason]),
    [
      ['h:25', ''],
      ['', '99'],
      ['', ''],
      ['h:25', ''],
    ],
  );
  tail.close();
});

test('a line that comes in pieces, within a character too, is one line', () => {
  writeFileSync(log, '');
  const tail = new DeliveryTail(log);
  const bytes = Buffer.from(line('delivered', 'jörg@例え.example'));
  for (const byte of bytes) {
    assert.deepEqual(names(tail), []);
    appendFileSync(log, Buffer.of(byte));
  }
  assert.deepEqual(names(tail), ['delivered jörg@例え.example']);
  tail.close();
});

test('a line that only speaks of a delivery, or that is no JSON, is none', () => {
  writeFileSync(log, '');
  const tail = new DeliveryTail(log);
  appendFileSync(log, `{"event":"refused","reply":"\\"event\\":\\"delivered\\""}\n"event":"delivered"\n`);
  appendFileSync(log, line('refused', 'x').replace('}', ',"other":{"event":"delivered"}}'));
  assert.deepEqual(names(tail), []);
  tail.close();
});

test('a log that is made shorter is read from its new start', () => {
  writeFileSync(log, line('refused', 'x').repeat(10));
  const tail = new DeliveryTail(log);
  writeFileSync(log, line('delivered', 'new'));
  assert.deepEqual(names(tail), ['delivered new']);
  tail.close();
});

test('of a log that grows too fast the end is read', () => {
  writeFileSync(log, '');
  const tail = new DeliveryTail(log);
  appendFileSync(
    log,
    line('delivered', 'old') + line('refused', 'x').repeat(10_000) + line('delivered', 'new'),
  );
  assert.deepEqual(names(tail), ['delivered new']);
  tail.close();
});
