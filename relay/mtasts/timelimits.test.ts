import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TimeLimits } from './timelimits.ts';

const NEVER = () => new Promise<never>(() => undefined);
const ended = (signal: AbortSignal) =>
  new Promise<string>((resolve) => {
    if (signal.aborted) resolve('ended');
    signal.addEventListener('abort', () => resolve('ended'));
  });

test('a job ends when its time is over, and alone', async () => {
  const limits = new TimeLimits();
  const { promise, resolve } = Promise.withResolvers<string>();
  const long = limits.run(60_000, (signal) => Promise.race([promise, ended(signal)]));
  assert.equal(await limits.run(1, ended), 'ended');
  resolve('done');
  assert.equal(await long, 'done');
});

test('closing ends the jobs under way, and each one that begins later', async () => {
  const limits = new TimeLimits();
  const jobs = [1, 2].map(() => limits.run(60_000, ended));
  limits.close();
  assert.deepEqual(await Promise.all(jobs), ['ended', 'ended']);
  assert.equal(await limits.run(60_000, ended), 'ended');
});

test('nobody waits for a job that does not end with its time', async () => {
  const limits = new TimeLimits();
  assert.equal(await limits.run(1, NEVER), undefined);
  const job = limits.run(60_000, NEVER);
  limits.close();
  assert.equal(await job, undefined);
});

test('a job that has ended is not ended later, whatever became of it', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const limits = new TimeLimits();
  let signal: AbortSignal | undefined;
  await limits.run(60_000, async (one) => {
    signal = one;
  });
  await assert.rejects(
    limits.run(60_000, async () => {
      throw new Error('no');
    }),
  );
  context.mock.timers.tick(60_000);
  limits.close();
  assert.equal(signal?.aborted, false);
});
