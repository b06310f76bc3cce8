import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { visibleLines } from '#crds/visible.ts';
import { jsonLog, type ProcessLog } from './log.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailrelay-log-'));
after(() => rmSync(folder, { recursive: true }));

/** What is written of some events, by these orders. */
function written(tell: (log: ProcessLog) => void): Record<string, unknown>[] {
  const path = join(folder, 'log');
  const fd = openSync(path, 'w');
  tell(jsonLog('listener', fd, () => 0));
  closeSync(fd);
  const text = readFileSync(path, 'utf8');
  assert.equal(text, visibleLines(text), 'a terminal obeys nothing of it');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

test('one event is one line of JSON, whatever a client put into it', () => {
  const nasty = 'a\r\nb\u2028\u0000"\x1b[31m\x7f\u009b2J\u202e';
  const lines = written((log) => {
    log.obey({ level: 'info', addresses: 'Full' }, folder);
    log('accepted', { from: nasty, to: [nasty], none: undefined });
  });
  assert.deepEqual(lines, [
    {
      time: '1970-01-01T00:00:00.000Z',
      level: 'info',
      task: 'listener',
      event: 'accepted',
      from: nasty,
      to: [nasty],
    },
  ]);
});

test('lines below the level are not written', () => {
  const events = (level: 'debug' | 'info' | 'warn' | 'error') =>
    written((log) => {
      log.obey({ level, addresses: 'Full' }, folder);
      for (const event of ['task_drained', 'accepted', 'refused', 'task_died'] as const) log(event);
    }).map(({ event }) => event);
  assert.deepEqual(events('debug'), ['task_drained', 'accepted', 'refused', 'task_died']);
  assert.deepEqual(events('info'), ['accepted', 'refused', 'task_died']);
  assert.deepEqual(events('warn'), ['refused', 'task_died']);
  assert.deepEqual(events('error'), ['task_died']);
});

test('until the policy is known no local part is written', () => {
  const [line] = written((log) => log('policy_refused', { message: 'alwaysBcc: jane@example.com' }));
  assert.equal(line?.['message'], 'alwaysBcc: @example.com');
});

test('a hash is the same in all processes of a relay, and another one in another relay', () => {
  const hashed = (stateDir: string, from: string) =>
    written((log) => {
      log.obey({ level: 'info', addresses: 'Hash' }, stateDir);
      log('accepted', { from });
    })[0]?.['from'];
  const [one, other] = ['one', 'other'].map((name) => mkdtempSync(join(folder, name)));
  const name = hashed(one ?? '', 'jane@example.com');
  assert.match(String(name), /^[0-9a-f]{16}@example\.com$/);
  assert.equal(hashed(one ?? '', 'Jane@example.com'), String(name));
  assert.notEqual(hashed(one ?? '', 'joe@example.com'), name);
  assert.notEqual(hashed(other ?? '', 'jane@example.com'), name);
  assert.equal(statSync(join(one ?? '', 'log.key')).mode & 0o777, 0o600);
});

test('where no key can be kept, lines are written all the same', () => {
  const lines = written((log) => {
    log.obey({ level: 'info', addresses: 'Hash' }, join(folder, 'missing'));
    log('accepted', { from: 'jane@example.com' });
  });
  assert.match(String(lines[0]?.['from']), /^[0-9a-f]{16}@example\.com$/);
});

test('a line that its file does not take, on a full disk or after its end, ends nothing', () => {
  const fd = openSync('/dev/full', 'w');
  const log = jsonLog('listener', fd, () => 0);
  log('accepted');
  closeSync(fd);
  log('accepted');
});
