import assert from 'node:assert/strict';
import { test } from 'node:test';
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
  isFull = false;
  assert.equal(await find(), '7');
});
