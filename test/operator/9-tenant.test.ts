/**
 * A tenant does all that the rights of `edit` in one namespace allow. Relays in other namespaces are looked at as soon as
 * ever, nothing of them is written or lost, and the operator needs no more memory. `make soak` holds the figures
 * against their bars; `make test` prints them. API server, etcd and tenant share the processors of the machine with the
 * operator, and on a small one they alone take longer than the bar. So `make soak` also measures an operator that never
 * looks at the tenant: where that one misses the bar too, ours may take half as long again.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { memoryOf } from '#test/bench/tree.ts';
import type { Call } from '#test/cluster/audit.ts';
import { randomFrom } from '#test/kit/powercut.ts';
import { seed } from '#test/kit/seed.ts';
import { until } from '#test/kit/wait.ts';
import { Impostor } from './impostor.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { type LogLine, Operator } from './process.ts';
import { makeRelays, nameOf, putRelay, relayNamed, settled, whenQuiet, whenSettled } from './relays.ts';
import { snapshot, snapshots, whenSame } from './snapshot.ts';
import { Tenant } from './tenant.ts';

const SOAK = process.env['MAILRELAY_SOAK'] !== undefined;
/** Its relays are edited one after the other. */
const EDITED = 'edited';
/** Nobody touches its relays. */
const RESTING = 'resting';
const RELAYS = SOAK ? 20 : 3;
const EDITS = SOAK ? 200 : 8;
const AMOUNT = SOAK ? { maps: 100, pods: 40, events: 50 } : { maps: 6, pods: 10, events: 3 };
const BAR_MS = 200;
/** Of what an operator takes that the tenant cannot reach. */
const BAR_SHARE = 1.5;
const BAR_MIB = 300;
const MEMORY_MS = 250;

interface Look {
  /** From the news to the last answer of the API server. */
  readonly ms: number;
  /** The same, less the time that the API server itself took. */
  readonly ownMs: number;
}

describe('a tenant with the rights of edit', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;
  let tenant: Tenant;
  const impostor = new Impostor({ pod: `${nameOf(0)}-0`, uid: 'any', namespace: RESTING, relay: nameOf(0) });

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    pods.onStranger = (address, response) => impostor.answer(address, response);
    await lead();
    for (const namespace of [EDITED, RESTING]) await makeRelays(api, namespace, RELAYS);
    for (const namespace of [EDITED, RESTING]) await settled(api, namespace, RELAYS);
    tenant = await Tenant.enter(api, 'tenant', randomFrom(seed));
  });
  after(async () => {
    tenant?.stop();
    impostor.stop();
    await operator.end('SIGTERM');
    await pods.stop();
  });

  /** A new operator takes the place of the one before. */
  async function lead(...args: readonly string[]): Promise<void> {
    await operator?.end('SIGTERM');
    operator = await Operator.start(api, { identity: 'tenant', args });
    await operator.leads();
  }

  async function edit(index: number, recipients: number): Promise<Look> {
    const [name, seen, since] = [nameOf(index % RELAYS), operator.log.length, Date.now()];
    const inbound = { listeners: [{ name: 'smtp', port: 25 }], limits: { recipients } };
    await putRelay(api, relayNamed(EDITED, name, { inbound }));
    const isIts = ({ event, relay }: LogLine) => event === 'reconciled' && relay === `${EDITED}/${name}`;
    const line = await until(`${name} to be looked at`, () => operator.log.slice(seen).find(isIts), 60_000);
    await whenSettled(api, EDITED, name);
    const ms = Number(line['ownMs']) + Number(line['waitedMs']);
    const isPart = ({ uri }: Call) => uri.includes(`/${EDITED}/`) && uri.includes(name);
    const answers = api.calls(since).filter(isPart).slice(0, Number(line['writes']));
    return { ms, ownMs: ms - answers.reduce((sum, call) => sum + call.ms, 0) };
  }

  async function editMany(): Promise<Look[]> {
    const looks: Look[] = [];
    for (let index = 0; index < EDITS; index++) looks.push(await edit(index, 10 + index));
    return looks;
  }

  async function setBack(): Promise<void> {
    for (let index = 0; index < RELAYS; index++) await edit(index, 2);
  }

  /** The p99 in ms of an operator that the tenant cannot reach. */
  async function measureUnreached(): Promise<number> {
    await lead('--namespaces', `${EDITED},${RESTING}`);
    await setBack();
    const looks = await editMany();
    await lead();
    return percentile(looks.map(({ ms }) => ms));
  }

  test('harms no other, and nothing of them changes', { timeout: 1_200_000 }, async (context) => {
    context.diagnostic(`seed ${seed} (MAILRELAY_SEED)`);
    await setBack();
    await whenQuiet(api);
    const memory = watchMemory(operator);
    const [edited, resting] = [await snapshot(api, EDITED), await snapshots(api, RESTING)];
    await tenant.settleIn(AMOUNT);
    const acting = tenant.act();
    acting.catch(() => undefined);
    const looks = await editMany();
    const { least, most: mib } = memory.end();
    const unreached = SOAK ? await measureUnreached() : 0;
    tenant.stop();
    await acting;
    await setBack();
    await whenSame(api, EDITED, edited);
    assert.deepEqual(await snapshots(api, RESTING), resting, 'not even a version is another');
    assert.ok(tenant.done > EDITS, `${tenant.done} changes`);
    const p99 = percentile(looks.map(({ ms }) => ms));
    const own = percentile(looks.map(({ ownMs }) => ownMs));
    const bar = Math.max(BAR_MS, BAR_SHARE * unreached);
    const text = `${tenant.done} changes; reconcile of others p99 ${p99} ms <= ${bar}, own share ${own} ms, without the tenant's namespace ${unreached} ms; memory ${least} to ${mib} MiB <= ${BAR_MIB}`;
    context.diagnostic(text);
    if (SOAK) assert.ok(p99 <= bar && mib <= BAR_MIB, text);
  });
});

/** The 99th of a hundred. */
function percentile(values: readonly number[]): number {
  return Math.round(values.toSorted((a, b) => a - b)[Math.ceil(values.length * 0.99) - 1] ?? Number.NaN);
}

/** The least and the most anonymous memory, in MiB, until it is ended. */
function watchMemory({ pid }: Operator): { end(): { least: number; most: number } } {
  const seen: number[] = [];
  const timer = setInterval(() => seen.push(Math.round(memoryOf(pid).anonMb)), MEMORY_MS);
  return {
    end: () => {
      clearInterval(timer);
      return { least: Math.min(...seen), most: Math.max(...seen) };
    },
  };
}
