/** A cause that comes and goes is one event, until the relay is well again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailRelayStatus } from '#crds/status.ts';
import { recordingDeps } from '#test/fixtures/deps.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { Request } from './kube/client.ts';
import { reconcile } from './reconcile.ts';
import { ToldCauses } from './toldcauses.ts';
import type { PodView } from './world.ts';

/** Reconciles with each of these second pods, and returns the reasons of the events. */
async function tell(seconds: readonly Partial<PodView>[]): Promise<string[]> {
  let status: MailRelayStatus | undefined;
  const deps = recordingDeps(({ path, body }: Request) => {
    if (path.endsWith('/status')) ({ status } = body as { status: MailRelayStatus });
    return {};
  });
  const notes: string[] = [];
  const causes = new ToldCauses();
  const tellOf = async (_: unknown, event: { reason: string; note: string }) =>
    void notes.push(`${event.reason} ${/OutOf\w+/.exec(event.note)?.[0] ?? ''}`.trim());
  for (const second of seconds) {
    const relay = { ...relayObject(), ...(status ? { status } : {}) };
    const pods = [podView('relay-0', podReport(relay)), podView('relay-1', podReport(relay), second)];
    const world = settledWorld({ relay, objects: liveObjects(relay), pods });
    await reconcile(world, { ...deps, causes, tell: tellOf });
  }
  return notes;
}

const because = (reason: string): Partial<PodView> => ({
  ready: false,
  trouble: { reason, message: `${reason}: no room`, isStuck: false },
});
const [well, starts] = [{}, { ready: false }];
const [cpu, memory] = [because('OutOfcpu'), because('OutOfmemory')];

test('a pod that is refused and made anew without end is told once', async () => {
  const told = await tell([well, cpu, starts, cpu, starts, cpu, starts, cpu]);
  assert.deepEqual(told.slice(-1), ['PodsNotReady OutOfcpu']);
  assert.equal(told.filter((note) => note.includes('OutOf')).length, 1, told.join('\n'));
});

test('two causes that take turns are told once each', async () => {
  const told = await tell([well, cpu, memory, cpu, memory, starts, cpu]);
  assert.deepEqual(
    told.filter((note) => note.includes('OutOf')),
    ['PodsNotReady OutOfcpu', 'PodsNotReady OutOfmemory'],
  );
});

test('when the relay was well in between, the cause is told again', async () => {
  const told = await tell([well, cpu, starts, well, cpu]);
  assert.equal(told.filter((note) => note.includes('OutOf')).length, 2, told.join('\n'));
});
