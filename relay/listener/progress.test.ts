import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Moment, Progress } from './progress.ts';
import { REPLIES } from './reply.ts';

const PATIENCE = { idleMs: 300_000, messageMs: 1_800_000 };
const QUIET: Moment = { isHandshake: false, hasMessage: false, isDeciding: false };
const RECEIVING: Moment = { ...QUIET, hasMessage: true };

function receiving(untilMs: number): Progress {
  const progress = new Progress(0);
  progress.command('DATA', 0);
  progress.dataBegins(0);
  for (let now = 0; now <= untilMs; now += 1_000)
    assert.equal(progress.impatience(now, RECEIVING, PATIENCE), undefined);
  return progress;
}

test('after a message that took longer than a client may be idle, the client may be idle as long again', () => {
  const progress = receiving(600_000);
  assert.equal(progress.impatience(601_000, QUIET, PATIENCE), undefined);
  assert.equal(progress.impatience(899_000, QUIET, PATIENCE), undefined);
  assert.equal(progress.impatience(901_000, QUIET, PATIENCE), REPLIES.idle);
});

test('a message has its own limit, also one that goes on', () => {
  const progress = receiving(1_800_000);
  assert.equal(progress.impatience(1_801_000, RECEIVING, PATIENCE), REPLIES.messageTooSlow);
});

test('a handshake has a minute', () => {
  const handshake = { ...QUIET, isHandshake: true };
  const progress = new Progress(0);
  progress.command('STARTTLS', 0);
  assert.equal(progress.impatience(60_000, handshake, PATIENCE), undefined);
  assert.equal(progress.impatience(60_001, handshake, PATIENCE), REPLIES.idle);
});

test('a client is told by its last command, and never by words of its own', () => {
  const progress = new Progress(0);
  const state = (moment = QUIET) => progress.describe(10_000, moment).state;
  assert.equal(state(), 'greeting');
  assert.equal(state({ ...QUIET, isHandshake: true }), 'handshake');
  for (const [verb, told] of [
    ['EHLO', 'EHLO'],
    ['AUTH', 'AUTH'],
    ['', 'AUTH'],
    ['JOE@CORP.EXAMPLE', 'other'],
    ['DATA', 'idle'],
  ] as const) {
    progress.command(verb, 5_000);
    assert.equal(state(), told);
  }
  progress.dataBegins(6_000);
  assert.deepEqual(progress.describe(9_500, RECEIVING), { state: 'DATA', quietSeconds: 3 });
  assert.deepEqual(progress.describe(9_500, QUIET), { state: 'idle', quietSeconds: 4 });
});
