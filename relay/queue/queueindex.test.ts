import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newQueueId } from '../spool/record.ts';
import { QueueIndex } from './queueindex.ts';

test('messages of a sibling, which are older, come first', () => {
  const known = new QueueIndex();
  const [old, young] = [newQueueId(1_000), newQueueId(20_000)];
  const facts = { held: false, bytes: 1 };
  known.put(young, { ...facts });
  known.put(old, { ...facts });
  assert.deepEqual([...known.ids()], [old, young]);
  assert.equal(known.oldest, 1_000);
  known.forget(old);
  assert.equal(known.oldest, 20_000);
});
