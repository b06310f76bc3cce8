/**
 * A look that fails by a fault of ours is told in the status, which would stay as it was otherwise. A status that others change at
 * each write is not written without end.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailRelay } from '#crds/mailrelay.ts';
import type { MailRelayStatus } from '#crds/status.ts';
import { recordingDeps } from '#test/fixtures/deps.ts';
import { settledWorld } from '#test/fixtures/world.ts';
import { Answers } from './answers.ts';
import { KubeError } from './kube/errors.ts';
import { renderStatus } from './report/status.ts';
import { tellStatus, withFaultsTold } from './tellstatus.ts';

const { relay, now, ...rest } = settledWorld();
const green: MailRelay = {
  ...relay,
  status: renderStatus({ ...rest, relay, now: now - 3_600_000, obstacles: [] }),
};
const FAULT = new TypeError("Cannot read properties of undefined (reading 'resources')");

async function failing(of: MailRelay, error: Error, at = now) {
  const deps = recordingDeps();
  const look = async () => {
    throw error;
  };
  await assert.rejects(withFaultsTold(of, at, deps, look), error);
  const [written] = deps.requests;
  return { status: (written?.body as MailRelay | undefined)?.status, deps };
}

test('a fault of ours is told beside what was told before, and the fault goes on', async () => {
  assert.equal(green.status?.problems, undefined);
  const { status, deps } = await failing(green, FAULT);
  const { conditions, problems, message, ...others } = status ?? {};
  const { conditions: before, problems: _, message: __, ...same } = green.status ?? {};
  assert.deepEqual(others, same);
  const [reconciling] = conditions?.filter(({ type }) => type === 'Reconciling') ?? [];
  assert.deepEqual([reconciling?.status, reconciling?.reason], ['True', 'LookFailed']);
  assert.deepEqual(
    conditions?.filter(({ type }) => type !== 'Reconciling'),
    before,
  );
  assert.equal(problems, 'Reconciling');
  assert.match(String(message), /^LookFailed: The operator fails at this MailRelay.*reading 'resources'/);
  assert.deepEqual(deps.events, ['LookFailed']);
});

test('it is written once, and of a relay without a status too', async () => {
  const { status } = await failing(green, FAULT);
  assert.ok(status);
  const again = await failing({ ...green, status }, FAULT, now + 60_000);
  assert.equal(again.status, undefined);
  assert.equal((await failing(relay, FAULT)).status?.conditions?.[0]?.reason, 'LookFailed');
});

test('a failure of the API server, and a paused relay, are left alone; a status that is refused hides no fault', async () => {
  assert.equal((await failing(green, new KubeError('unavailable', 'away'))).status, undefined);
  const metadata = { ...green.metadata, annotations: { 'mailrelay.dev/paused': 'true' } };
  assert.equal((await failing({ ...green, metadata }, FAULT)).status, undefined);
  const deps = recordingDeps(() => {
    throw new KubeError('forbidden', 'no', 403);
  });
  await assert.rejects(
    withFaultsTold(green, now, deps, async () => {
      throw FAULT;
    }),
    FAULT,
  );
});

test('the next look that ends well takes it back', async () => {
  const { status } = await failing(green, FAULT);
  assert.ok(status);
  const after = renderStatus({ ...rest, relay: { ...relay, status }, now, obstacles: [] });
  assert.equal(
    after.conditions?.some(({ reason }) => reason === 'LookFailed'),
    false,
  );
});

/** A cluster that changes each status: it gives the stored status at each write. */
function changingDeps(change: (status: MailRelayStatus, writes: number) => MailRelayStatus) {
  let writes = 0;
  const deps = recordingDeps(({ body }) => {
    writes += 1;
    return { ...(body as MailRelay), status: change((body as MailRelay).status as MailRelayStatus, writes) };
  });
  return { ...deps, answers: new Answers(), count: () => writes };
}

const CHANGERS: Readonly<Record<string, Parameters<typeof changingDeps>[0]>> = {
  'a webhook that writes another word each time': (status, writes) => ({ ...status, message: `${writes}` }),
  'a CRD that does not know a field': ({ starttls: _, ...status }) => status,
};

for (const [what, change] of Object.entries(CHANGERS))
  test(`a status that comes back otherwise (${what}) stands, until something else is to be told`, async () => {
    const deps = changingDeps(change);
    const wanted = green.status as MailRelayStatus;
    let live: MailRelay = relay;
    const tell = async (status: MailRelayStatus, at = now) => {
      const before = deps.count();
      await tellStatus(live, { status, isReplaced: false, now: at }, deps);
      if (deps.count() > before) live = { ...live, status: change(status, deps.count()) };
      return deps.count();
    };
    assert.deepEqual([await tell(wanted), await tell(wanted), await tell(wanted)], [1, 1, 1]);
    assert.equal(await tell({ ...wanted, ready: '1/2' }), 2);
    live = { ...live, status: { ...live.status, problems: 'of somebody' } as MailRelayStatus };
    assert.deepEqual([await tell(wanted), await tell(wanted)], [3, 3], 'what somebody else wrote is mended');
    assert.equal(await tell(wanted, now + 3_600_000), 4, 'the webhook may be gone by now');
  });

test('a condition that something changes at each write is not told anew with the present time at each look', async () => {
  const changes: Readonly<Record<string, (status: MailRelayStatus) => MailRelayStatus>> = {
    'one is taken away': (status) => ({ ...status, conditions: (status.conditions ?? []).slice(1) }),
    'one is turned': ({ conditions = [], ...status }) => ({
      ...status,
      conditions: conditions.map((one) => ({ ...one, status: 'Unknown' })),
    }),
  };
  for (const [what, change] of Object.entries(changes)) {
    const deps = changingDeps(change);
    let live: MailRelay = relay;
    for (let seconds = 0; seconds < 60; seconds++) {
      const at = now + seconds * 1_000;
      const status = renderStatus({ ...rest, relay: live, now: at, obstacles: [] });
      const before = deps.count();
      await tellStatus(live, { status, isReplaced: false, now: at }, deps);
      if (deps.count() > before) live = { ...live, status: change(status) };
    }
    assert.equal(deps.count(), 1, what);
  }
});
