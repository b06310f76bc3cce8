import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enforce, finding, World } from '#test/fixtures/stsworld.ts';
import { beforeReads } from '#test/kit/beforereads.ts';
import { readPolicyId } from './policyparser.ts';

test('a parser that could not be loaded once is loaded the next time', async (t) => {
  let isFull = true;
  beforeReads(t, (path) => {
    if (isFull && /mailauth\/lib\/tools/.test(path))
      throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
  });
  const find = () => readPolicyId('a.example', [['v=STSv1; id=7;']]);
  await assert.rejects(find(), /too many open files/);
  const world = new World();
  const unknown = await world.find();
  assert.equal(unknown.kind === 'unasked' && unknown.failure.cause, 'local', 'no absence of a policy');
  world.cache.set('held.example', { ...enforce('mx'), id: '1', fetchedAt: world.now, usedAt: world.now });
  assert.deepEqual(await world.find('held.example'), finding(enforce('mx')));
  assert.deepEqual(world.counts, ['local', 'local']);
  isFull = false;
  assert.deepEqual(await world.find(), finding(enforce('mx.example.com')));
  assert.equal(await find(), '7');
});
