/**
 * Every field of a MailRelay changed to every neighbour value and back (after Acto, SOSP 2023), on a real API server: the
 * world after is the world before, no claim is lost on the way, and what the API server refuses moves nothing. The
 * table is made from the schema (test/fixtures/changes.ts). By a seed that it prints, `make test` takes one change of every
 * fifth field, and of every field one that is refused; `make soak` takes all.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { MailRelayStatus } from '#crds/status.ts';
import { parseSize } from '#crds/units.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath, MAIL_RELAY } from '#operator/kube/kinds.ts';
import { type Change, changesOf, type SpecName } from '#test/fixtures/changes.ts';
import { SPECS } from '#test/fixtures/fullspec.ts';
import { randomFrom } from '#test/kit/powercut.ts';
import { seed } from '#test/kit/seed.ts';
import { until } from '#test/kit/wait.ts';
import { Counts, differences, faultsOf, type Slot, type Tried } from './changefaults.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { type Shot, snapshots } from './snapshot.ts';

const SOAK = process.env['MAILRELAY_SOAK'] !== undefined;
/** Relays that are changed at the same time. */
const AT_ONCE: Readonly<Record<SpecName, number>> = SOAK ? { full: 32, small: 8 } : { full: 16, small: 4 };
/** Of the fields, by `make test`. */
const SHARE = 1 / 5;
const ASKED_AT_ONCE = 8;
const PREFIX = 'acto-';
const QUIET_MS = 500;
/** A hundred replicas that leave again, as `make soak` has them, hand over one after another. */
const BACK_MS = SOAK ? 900_000 : 300_000;
const SETTLED_MS = 180_000;
/** By `make test`: more of them, with their claims, take their time. */
const MOST_REPLICAS = 10;

describe('every field changed and changed back', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;

  const slots = (Object.keys(SPECS) as SpecName[]).flatMap((from) =>
    Array.from({ length: AT_ONCE[from] }, (_, index) => ({ namespace: `${PREFIX}${from}-${index}`, from })),
  );
  /** The whole spec. Server-side apply would make null of an object of which all fields are taken away. */
  const put = (namespace: string, spec: Readonly<Record<string, unknown>>) =>
    api.admin.request<KubeObject>({
      method: 'PATCH',
      path: apiPath(MAIL_RELAY, namespace, 'relay'),
      query: { fieldValidation: 'Strict' },
      contentType: 'application/json-patch+json',
      body: [{ op: 'replace', path: '/spec', value: spec }],
    });
  const make = ({ namespace, from }: Slot) => {
    const { apiVersion, kind } = MAIL_RELAY;
    const relay = { apiVersion, kind, metadata: { name: 'relay', namespace }, spec: SPECS[from] };
    return api.admin.request({ method: 'POST', path: apiPath(MAIL_RELAY, namespace), body: relay });
  };

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    operator = await Operator.start(api, { identity: 'acto', args: ['--workers', '16'] });
    await operator.leads();
    await Promise.all(slots.map(({ namespace }) => api.makeNamespace(namespace)));
    await Promise.all(slots.map(make));
    const namespaces = slots.map(({ namespace }) => namespace);
    assert.deepEqual(await whenSeen(namespaces, SETTLED_MS), []);
  });
  after(async () => {
    await operator.end('SIGTERM');
    await pods.stop();
  });

  /** Which of them the operator has not seen, or is not done with; one list tells of all. */
  async function unseen(namespaces: readonly string[]): Promise<string[]> {
    const { items } = await api.admin.request<{ items: (KubeObject & { status?: MailRelayStatus })[] }>({
      method: 'GET',
      path: apiPath(MAIL_RELAY),
    });
    return items.flatMap(({ metadata, status }) => {
      const { namespace = '', generation } = metadata;
      const reconciling = status?.conditions?.find(({ type }) => type === 'Reconciling');
      const isSeen = status?.observedGeneration === generation && !reconciling;
      return isSeen || !namespaces.includes(namespace)
        ? []
        : [`${namespace}: ${JSON.stringify(reconciling)}`];
    });
  }

  /** Those that are not seen in time, each with the reason. */
  async function whenSeen(namespaces: readonly string[], withinMs = BACK_MS): Promise<string[]> {
    let left: string[] = [];
    const areSeen = async () => {
      await whenStill();
      left = await unseen(namespaces);
      return left.length === 0;
    };
    await until('the operator to see them', areSeen, withinMs).catch(() => undefined);
    return left;
  }

  /** Until the operator has written nothing for a while. */
  async function whenStill(): Promise<void> {
    let [lines, since] = [operator.log.length, performance.now()];
    const isStill = () => {
      if (operator.log.length !== lines) [lines, since] = [operator.log.length, performance.now()];
      return performance.now() - since > QUIET_MS;
    };
    await until('the operator to be still', isStill, SETTLED_MS);
  }

  async function change(slot: Slot, change: Change): Promise<Tried> {
    try {
      await put(slot.namespace, change.spec);
      return { slot, change, outcome: { kind: 'taken' } };
    } catch (error) {
      if (!isKubeError(error, 'invalid')) throw error;
      return { slot, change, outcome: { kind: 'refused', message: (error as Error).message } };
    }
  }

  /** One change on each relay, and back; the faults that were seen. */
  async function wave(changes: readonly (readonly [Slot, Change])[], counts: Counts): Promise<string[]> {
    const was = await snapshots(api, PREFIX);
    const tried = await Promise.all(changes.map((one) => change(...one)));
    const unseen = await whenSeen(tried.filter(mustBeSeen).map(({ slot }) => slot.namespace));
    const is = await snapshots(api, PREFIX);
    for (const one of tried) counts.add(one, is.get(one.slot.namespace));
    await Promise.all(changes.map(([{ namespace, from }]) => put(namespace, SPECS[from])));
    const changed = tried.flatMap((one) => faultsOf(one, was, is));
    return [...unseen, ...changed, ...(await faultsBack(tried, was))];
  }

  async function faultsBack(tried: readonly Tried[], was: Map<string, Shot>): Promise<string[]> {
    let faults: string[] = [];
    const areBack = async () => {
      await whenStill();
      const is = await snapshots(api, PREFIX);
      faults = tried.flatMap((one) => differences(one, was, is));
      return faults.length === 0;
    };
    await until('the worlds to be back', areBack, BACK_MS).catch(() => undefined);
    return faults;
  }

  test('what no spec takes is refused with its field and a cure, and moves nothing', async (context) => {
    const [was, counts] = [await snapshots(api, PREFIX), new Counts()];
    const left = drawn(
      context,
      changesOf().filter(({ isTaken }) => !isTaken),
      1,
    ).values();
    const tried: Tried[] = [];
    const asker = async () => {
      for (const one of left) tried.push(await change(slotOf(one), one));
    };
    await Promise.all(Array.from({ length: ASKED_AT_ONCE }, asker));
    await whenStill();
    const is = await snapshots(api, PREFIX);
    for (const one of tried) counts.add(one, undefined);
    context.diagnostic(counts.text);
    assert.deepEqual(
      tried.flatMap((one) => faultsOf(one, was, is)),
      [],
    );
  });

  test('what is taken and taken back leaves the world as it was', { timeout: 1_800_000 }, async (context) => {
    const counts = new Counts();
    const faults: string[] = [];
    for (const changes of wavesOf(slots, chosen(context))) faults.push(...(await wave(changes, counts)));
    context.diagnostic(counts.text);
    assert.deepEqual([...faults, ...failures(operator)], []);
  });

  function slotOf({ from }: Change): Slot {
    return slots.find((slot) => slot.from === from) ?? assert.fail();
  }
});

/** One of another class is left alone. */
function mustBeSeen({ change, outcome }: Tried): boolean {
  return outcome.kind === 'taken' && change.field.path !== 'className';
}

function failures({ log }: Operator): string[] {
  return log
    .filter(({ event, relay }) => event === 'reconcile_failed' && String(relay).startsWith(PREFIX))
    .map((line) => JSON.stringify(line));
}

/** What is taken and can be taken back. */
function chosen(context: TestContext): readonly Change[] {
  const taken = changesOf().filter((change) => change.isTaken && !growsClaims(change));
  const isSmall = ({ spec }: Change) => Number(spec['replicas'] ?? 0) <= MOST_REPLICAS;
  return drawn(context, SOAK ? taken : taken.filter(isSmall), SHARE);
}

/** All by `make soak`; one change of each field of this share by `make test`. */
function drawn(context: TestContext, changes: readonly Change[], share: number): readonly Change[] {
  if (SOAK) return changes;
  context.diagnostic(`seed ${seed} (MAILRELAY_SEED)`);
  const random = randomFrom(seed);
  const fields = Object.values(Object.groupBy(changes, ({ field }) => field.path));
  return fields
    .filter(() => random() < share)
    .flatMap((of = []) => of[Math.floor(random() * of.length)] ?? []);
}

/** Kubernetes gives nothing of a grown claim back, so the world after is another one (6-workload.test.ts shows it). */
function growsClaims({ field, from, spec }: Change): boolean {
  return field.path === 'queue.storage.size' && sizeIn(spec) > sizeIn(SPECS[from]);
}

function sizeIn(spec: Readonly<Record<string, unknown>>): number {
  const { size = '' } = (spec['queue'] as { storage?: { size?: string } } | undefined)?.storage ?? {};
  return parseSize(size) ?? 0;
}

/** Each relay gets one change of its spec at a time. */
function* wavesOf(
  slots: readonly Slot[],
  changes: readonly Change[],
): Generator<(readonly [Slot, Change])[]> {
  const left = Object.groupBy(changes, ({ from }) => from);
  while (Object.values(left).some((of) => of.length > 0))
    yield slots.flatMap((slot) => {
      const change = left[slot.from]?.shift();
      return change ? [[slot, change] as const] : [];
    });
}
