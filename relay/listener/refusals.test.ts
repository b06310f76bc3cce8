import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counters } from '../task/counts.ts';
import { Refusals } from './refusals.ts';
import { REPLIES, Refusal, type Reply } from './reply.ts';

async function answered(findReply: () => Reply | undefined | Promise<Reply | undefined>) {
  const told: unknown[] = [];
  const log = (event: string, fields?: object) => void told.push([event, fields]);
  const refusals = new Refusals({ counters: new Counters(), log }, 20);
  const { promise, resolve } = Promise.withResolvers<Refusal | null>();
  await refusals.answer({}, findReply, resolve);
  return { refusal: await promise, told };
}

test('an error of our own is a temporary refusal, and its text goes to the log alone', async () => {
  const thrown = () => {
    throw new Error('attempt to write a readonly database');
  };
  for (const findReply of [thrown, async () => thrown()]) {
    const { refusal, told } = await answered(findReply);
    assert.equal(refusal?.responseCode, 451);
    assert.equal(refusal.message, REPLIES.localError.text);
    assert.deepEqual(told, [['command_failed', { message: 'attempt to write a readonly database' }]]);
  }
});

test('a refusal that is thrown or returned keeps its code, and success is no error', async () => {
  const thrown = () => {
    throw new Refusal(REPLIES.queueFull);
  };
  for (const findReply of [thrown, async () => REPLIES.queueFull, () => REPLIES.queueFull]) {
    const { refusal, told } = await answered(findReply);
    assert.deepEqual([refusal?.responseCode, refusal?.message, told], [452, REPLIES.queueFull.text, []]);
  }
  for (const findReply of [() => undefined, async () => undefined])
    assert.deepEqual(await answered(findReply), { refusal: null, told: [] });
});
