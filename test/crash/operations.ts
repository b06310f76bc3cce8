/** What is done to a relay while its disk fails, and by which of its processes the disk is used then. */
import type { ProcessKind } from '#test/kit/diskshim.ts';
import { doToQueue, listQueue } from '#test/kit/queuetools.ts';
import { until } from '#test/kit/wait.ts';
import type { FaultBench, Operation } from './faultbench.ts';

const SMALL = 2_000;
const LARGE = 300_000;

function mail(name: string, by: readonly ProcessKind[], to: readonly string[], bytes: number): Operation {
  const fate = to.includes('yes@example.com') ? 'arrived' : 'returned';
  return {
    name,
    by,
    run: async (bench, id) => {
      if (await bench.send(id, to, bytes, [fate])) await bench.inPlace(id);
    },
  };
}

/** A message that waits: its queue id. */
async function waiting(bench: FaultBench, id: string): Promise<string> {
  const queueId = await bench.send(id, ['wait@example.com'], SMALL, ['queued']);
  await until('the message to be deferred', async () => {
    const entry = (await listQueue(bench.relay)).find((one) => one.id === queueId);
    return entry?.recipients.some(({ reason, nextAttempt }) => reason && nextAttempt);
  });
  return queueId ?? '';
}

const queueIds = new Map<string, string>();

/** `before` and `after`: where the message is; in between it may be either. */
function action(
  action: 'hold' | 'release' | 'remove',
  before: 'queued' | 'held',
  after: 'queued' | 'held' | 'nowhere',
): Operation {
  return {
    name: action,
    by: ['router'],
    prepare: async (bench, id) => {
      const queueId = await waiting(bench, id);
      if (before === 'held') await doToQueue(bench.relay, 'hold', queueId);
      queueIds.set(id, queueId);
      bench.expect({ id, queueId, places: [before, after] });
    },
    run: async (bench, id) => {
      const queueId = queueIds.get(id) ?? '';
      const [done] = await doToQueue(bench.relay, action, queueId);
      if (done?.result === 'done') bench.expect({ id, queueId, places: [after] });
    },
    tidy: remove,
  };
}

async function remove(bench: FaultBench, id: string): Promise<void> {
  bench.forget(id);
  const queueId = queueIds.get(id) ?? '';
  queueIds.delete(id);
  await until('the message to be removed', async () => {
    const [done] = await doToQueue(bench.relay, 'remove', queueId);
    return done?.result === 'done' || done?.result === 'gone';
  });
}

/** With a message in the queue that stays there. */
function upheaval(
  name: string,
  by: readonly ProcessKind[],
  run: Operation['run'],
  before: Operation['prepare'] = async () => undefined,
): Operation {
  return {
    name,
    by,
    prepare: async (bench, id) => {
      queueIds.set(id, await waiting(bench, id));
      await before(bench, id);
    },
    run,
    tidy: remove,
  };
}

async function changePolicy(bench: FaultBench): Promise<void> {
  const { policy } = await bench.relay.status();
  bench.changePolicy();
  await until('the policy, or its refusal', async () => {
    const now = (await bench.relay.status()).policy;
    return now.hash !== policy.hash || now.refused !== null;
  });
}

export const OPERATIONS: readonly Operation[] = [
  mail('accept a small message', ['listener'], ['yes@example.com'], SMALL),
  mail('accept a large message', ['listener'], ['yes@example.com'], LARGE),
  mail('settle a small message', ['router'], ['yes@example.com'], SMALL),
  mail('settle a large message', ['router'], ['yes@example.com'], LARGE),
  mail('return a small message', ['router'], ['no@example.com'], SMALL),
  mail('return a large message', ['router'], ['no@example.com'], LARGE),
  mail('settle one recipient of two', ['router'], ['no@example.com', 'yes@example.com'], SMALL),
  action('hold', 'queued', 'held'),
  action('release', 'held', 'queued'),
  action('remove', 'queued', 'nowhere'),
  upheaval('change the policy', ['supervisor', 'listener', 'router'], changePolicy),
  upheaval('stop', ['supervisor', 'listener', 'router'], async (bench) => void (await bench.relay.stop())),
  upheaval(
    'start',
    ['supervisor', 'listener', 'router'],
    (bench) => bench.relay.up(),
    (bench) => bench.relay.kill9(),
  ),
];
