import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { NOBODY, QueueRig } from '#test/kit/queuerig.ts';
import { QueueTools } from './tools.ts';

let rig: QueueRig;

beforeEach(() => {
  rig = new QueueRig();
});
afterEach(() => rig.remove());

test('a retry of very many messages leaves others their turns', async () => {
  const tools = new QueueTools(
    rig.begin(() => NOBODY),
    rig.spool,
  );
  let turns = 0;
  const count = () => {
    turns += 1;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  const ids = Array.from({ length: 5_000 }, (_, index) => `${index}`.padStart(16, '0'));
  const done = await tools.do('retry', ids);
  clearImmediate(counting);
  assert.deepEqual(
    done.map(({ id }) => id),
    ids,
  );
  assert.ok(turns >= 4, `${turns}`);
});
