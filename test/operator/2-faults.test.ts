/**
 * Whichever call of a reconcile fails, and in whatever way, the objects become the same as without the fault. A
 * MailRelay is created and then changed in every respect at once (objects appear, change, grow and go, a pod leaves),
 * with one fault in each of the two steps. The full test gives every fault to every call; the small one takes the
 * faults in turn.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenQuiet, whenSettled } from './relays.ts';
import { eventsOf, snapshot, whenSame } from './snapshot.ts';
import { type Fault, Wire, type WireCall, type WireHooks } from './wire.ts';

const FULL = process.env['MAILRELAY_SOAK'] !== undefined;
const FAULTS: Readonly<Record<string, Fault>> = {
  conflict: { kind: 'answer', status: 409 },
  throttled: { kind: 'answer', status: 429, retryAfterSeconds: 1 },
  broken: { kind: 'answer', status: 500 },
  silent: { kind: 'silence' },
  reset: { kind: 'reset' },
  lost: { kind: 'lostAnswer' },
};
const NAMES = Object.keys(FAULTS);

const MADE = relayNamed('', 'relay', {
  replicas: 2,
  tls: { issuerRef: { name: 'ca' } },
  queue: { storage: { size: '1Gi' } },
});
/** One pod less, one listener more, another source of the certificate, a second certificate, a larger queue. */
const CHANGED = relayNamed('', 'relay', {
  replicas: 1,
  tls: { secretName: 'relay-tls', internal: { issuerRef: { name: 'ca' } } },
  inbound: {
    listeners: [
      { name: 'smtp', port: 25 },
      { name: 'submission', port: 587 },
    ],
  },
  queue: { storage: { size: '2Gi' } },
});

/** Counts the calls about each namespace, and applies a fault to a chosen one. */
class Calls {
  readonly #counts = new Map<string, number>();

  /** The number of this call among those about its namespace, from 1. */
  next({ uri }: WireCall): { namespace: string; number: number } {
    const namespace = /\/namespaces\/([^/]+)\//.exec(uri)?.[1] ?? '';
    const number = (this.#counts.get(namespace) ?? 0) + 1;
    this.#counts.set(namespace, number);
    return { namespace, number };
  }

  take(namespace: string): number {
    const count = this.#counts.get(namespace) ?? 0;
    this.#counts.delete(namespace);
    return count;
  }
}

describe('a fault at any call', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let made: number;
  let changed: number;
  let expected: Record<string, unknown>;
  const operators: Operator[] = [];
  const wires: Wire[] = [];

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
  });
  afterEach(async () => {
    for (const operator of operators.splice(0)) await operator.end('SIGTERM');
    for (const wire of wires.splice(0)) await wire.stop();
  });
  after(() => pods.stop());

  async function operate(hooks: WireHooks, ...args: string[]): Promise<Operator> {
    const wire = new Wire(api, hooks);
    wires.push(wire);
    // The proxy may be too slow for a Lease on a busy machine, and nobody starts an operator anew that has lost it.
    const settings = ['--no-leader-election', ...args];
    const server = await wire.start();
    const operator = await Operator.start(api, { identity: 'faults', server, args: settings });
    operators.push(operator);
    return operator;
  }

  const put = (relay: typeof MADE, namespace: string) =>
    putRelay(api, { ...relay, metadata: { name: 'relay', namespace } });

  async function make(namespace: string): Promise<void> {
    await api.makeNamespace(namespace);
    await put(MADE, namespace);
  }

  /** The claim of the pod that leaves is removed a moment after its pod. */
  async function whenChanged(namespace: string): Promise<void> {
    await whenSettled(api, namespace, 'relay');
    const isThere = async () => 'PersistentVolumeClaim/spool-relay-1' in (await snapshot(api, namespace));
    await until(`the claim in ${namespace} to go`, async () => !(await isThere()), 60_000);
  }

  async function assertAsExpected(namespace: string): Promise<void> {
    await whenChanged(namespace);
    await whenSame(api, namespace, expected);
    // One event when the first pod served, one when both did, and one after the change.
    const events = Object.entries(Object.groupBy(await eventsOf(api, namespace), (event) => event));
    assert.deepEqual(
      events.filter(([, told]) => (told?.length ?? 0) > 3),
      [],
      namespace,
    );
  }

  test('without any, this is what comes about', async () => {
    const calls = new Calls();
    await operate({ onAnswered: (call) => calls.next(call) });
    await make('fault-free');
    await whenSettled(api, 'fault-free', 'relay');
    await whenQuiet(api);
    made = calls.take('fault-free');
    await put(CHANGED, 'fault-free');
    await whenChanged('fault-free');
    await whenQuiet(api);
    changed = calls.take('fault-free');
    expected = await snapshot(api, 'fault-free');
    assert.deepEqual(Object.keys(expected).toSorted(), EXPECTED_OBJECTS);
  });

  test('the same, whatever fails', async () => {
    const cases = Array.from({ length: Math.max(made, changed) }, (_, index) => index + 1).flatMap((number) =>
      NAMES.filter((_, index) => FULL || index === number % NAMES.length).map((name) => ({
        namespace: `fault-${name}-${number}`,
        number,
        name,
      })),
    );
    const calls = new Calls();
    const faultOf = (call: WireCall) => {
      const { namespace, number } = calls.next(call);
      const found = cases.find((one) => one.namespace === namespace && one.number === number);
      return found && FAULTS[found.name];
    };
    await operate({ faultOf }, '--workers', '50');
    await Promise.all(cases.map(({ namespace }) => make(namespace)));
    for (const { namespace } of cases) await whenSettled(api, namespace, 'relay');
    await whenQuiet(api);
    for (const { namespace } of cases) calls.take(namespace);
    await Promise.all(cases.map(({ namespace }) => put(CHANGED, namespace)));
    for (const { namespace } of cases) await assertAsExpected(namespace);
  });

  test('the same, whenever the operator is killed', async () => {
    const numbers = Array.from({ length: Math.max(made, changed) }, (_, index) => index + 1).filter(
      (number) => FULL || number % 8 === 1,
    );
    const namespaceOf = (number: number) => `fault-killed-${number}`;
    for (const number of numbers) {
      await make(namespaceOf(number));
      if (number <= made) await killedAfter(namespaceOf(number), number);
    }
    const between = await operate({});
    for (const number of numbers) await whenSettled(api, namespaceOf(number), 'relay');
    await between.end('SIGTERM');
    for (const number of numbers) {
      await put(CHANGED, namespaceOf(number));
      if (number <= changed) await killedAfter(namespaceOf(number), number);
    }
    await operate({});
    for (const number of numbers) await assertAsExpected(namespaceOf(number));
  });

  /** Kills an operator after the server has done this call about the namespace, before the answer arrives. */
  async function killedAfter(namespace: string, number: number): Promise<void> {
    const calls = new Calls();
    let kill: () => void = () => undefined;
    const killed = new Promise<void>((resolve) => {
      kill = resolve;
    });
    const operator = await operate({
      onAnswered: (call) => {
        const seen = calls.next(call);
        if (seen.namespace === namespace && seen.number === number) kill();
      },
    });
    await Promise.race([killed, whenSettled(api, namespace, 'relay')]);
    await operator.end('SIGKILL');
  }
});

const EXPECTED_OBJECTS = [
  'Certificate/relay-internal',
  'ConfigMap/relay-ca',
  'ConfigMap/relay-policy',
  'MailRelay/relay',
  'NetworkPolicy/relay',
  'PersistentVolumeClaim/spool-relay-0',
  'Pod/relay-0',
  'PodDisruptionBudget/relay',
  'Service/relay',
  'Service/relay-pods',
  'ServiceAccount/relay',
  'StatefulSet/relay',
];
