import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Policy } from '#crds/policyfile.ts';
import { makeTracer } from './trace.ts';

function traced(changes: Partial<Policy['trace']> = {}) {
  const lines: string[] = [];
  const clock = { now: Date.UTC(2026, 0, 1) };
  const trace = { level: 3, networks: null, recipientDomains: null, until: null, ...changes };
  const tracer = makeTracer(
    trace,
    (line) => lines.push(line),
    () => clock.now,
  );
  return { lines, clock, tracer };
}

const inbound = { id: 'one', client: '192.0.2.7', listener: 'smtp' };

/** The trace output for these lines of a client, each with our reply. */
function shown(...said: readonly [line: string, reply: string][]): string[] {
  const { lines, tracer } = traced({ level: 2 });
  const session = tracer.session('inbound', inbound);
  for (const [line, reply] of said) {
    session?.received(line);
    session?.sent(reply);
  }
  return lines.flatMap((line) => / [RS]: (.*)<CRLF>$/.exec(line)?.[1] ?? []);
}

test('a line is one line: time, session, peer, direction, and its bytes', () => {
  const { lines, tracer } = traced();
  tracer.session('inbound', inbound)?.received('STARTTLS\r\n');
  assert.deepEqual(lines, [
    '2026-01-01T00:00:00.000Z [one] 192.0.2.7 session begins: smtp',
    '2026-01-01T00:00:00.000Z [one] 192.0.2.7 R: STARTTLS<CRLF>',
    '2026-01-01T00:00:00.000Z [one] Received 10 bytes from 192.0.2.7',
  ]);
});

test('logins are masked from behind the mechanism to their end', () => {
  assert.deepEqual(shown(['AUTH PLAIN secret', '235 ok'], ['NOOP', '250 OK']), [
    'AUTH PLAIN ****',
    '235 ok',
    'NOOP',
    '250 OK',
  ]);
  assert.deepEqual(shown(['auth login', '334 VXNlcg=='], ['secret', '334 UGFzcw=='], ['secret', '535 no']), [
    ...['auth login', '334 ****', '****', '334 ****', '****', '535 no'],
  ]);
  assert.deepEqual(shown(['AUTH secret', '504 no'], [' AUTH  PLAIN  secret more', '501 no']), [
    ...['AUTH ****', '504 no', 'AUTH PLAIN ****', '501 no'],
  ]);
});

test('after a refused login whatever is no command is masked, before it nothing is', () => {
  assert.deepEqual(
    shown(['WIZ', '500 no'], ['AUTH LOGIN', '530 no'], ['c2VjcmV0', '500 no'], ['QUIT', '221 Bye']),
    [...['WIZ', '500 no', 'AUTH LOGIN', '530 no', '****', '500 no', 'QUIT', '221 Bye']],
  );
});

test('our own logins at next hops are masked too, by the replies that we get', () => {
  const { lines, tracer } = traced({ level: 2 });
  const session = tracer.session('outbound', { id: 'out', hop: 'mx.example:25', domain: 'y.example' });
  session?.sent('AUTH LOGIN');
  session?.received('334 VXNlcg==');
  session?.sent('secret');
  session?.received('235 ok');
  assert.ok(!lines.join('\n').includes('secret'));
  assert.ok(lines.at(-1)?.endsWith('R: 235 ok<CRLF>'));
});

test('control characters are seen and do nothing, long lines are cut', () => {
  assert.deepEqual(shown(['a\x1b[31m\tb\0\xff', '500 no']), ['a<1B>[31m<TAB>b<NUL><C3><BF>', '500 no']);
  const [long = ''] = shown(['x'.repeat(10_000), '500 no']);
  assert.equal(long, `${'x'.repeat(500)}... (10000 bytes)`);
});

test('at its time the trace ends, with a word, in open sessions too; nothing begins after it', () => {
  const { lines, clock, tracer } = traced({ until: '2026-01-01T00:00:10Z' });
  const session = tracer.session('inbound', inbound);
  assert.equal(tracer.follows('y.example'), true);
  clock.now += 10_000;
  for (let n = 0; n < 3; n++) session?.received('NOOP');
  assert.deepEqual(lines.slice(1), ['2026-01-01T00:00:10Z The trace ended, as trace.until says']);
  assert.equal(tracer.session('inbound', inbound), undefined);
  assert.equal(tracer.follows('y.example'), false);
});

test('networks narrow clients, recipient domains narrow deliveries', () => {
  const { tracer } = traced({ networks: ['192.0.2.0/24'], recipientDomains: ['*.y.example'] });
  assert.ok(tracer.session('inbound', inbound));
  assert.equal(tracer.session('inbound', { ...inbound, client: '198.51.100.1' }), undefined);
  assert.equal(tracer.follows('a.y.example'), true);
  assert.equal(tracer.follows('y.example'), false);
  assert.equal(traced({ networks: ['192.0.2.0/24'] }).tracer.follows('y.example'), false);
  assert.equal(traced({ recipientDomains: ['y.example'] }).tracer.session('inbound', inbound), undefined);
  assert.equal(traced({ level: 0 }).tracer.session('inbound', inbound), undefined);
});
