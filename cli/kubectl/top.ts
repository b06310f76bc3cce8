/** `kubectl mailrelay top`: the load of each pod of a relay, once or again and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describeTlsShare, type PodStatus, parsePodStatus } from '#crds/podstatus.ts';
import { print } from '../output.ts';
import { age, describeTable } from '../terminal.ts';
import type { Cluster, Ran } from './cluster.ts';
import type { Form } from './globals.ts';
import { askPods, choosePods, describeErrors } from './inpods.ts';

const PAUSE_MS = 2_000;
const CLEAR = '\x1b[H\x1b[2J';
const HEADS = ['POD', 'READY', 'SESSIONS', 'TLS', 'QUEUE', 'HELD', 'OLDEST', 'WAITS FOR'];

type Pods = Pick<Cluster, 'listPods' | 'run'>;

/** null: the pod gave no status. */
type Statuses = ReadonlyMap<string, PodStatus | null>;

interface Load {
  readonly ready: boolean;
  readonly sessions: number;
  /** The share of sessions in TLS since the start. null: there was none. */
  readonly tls: string | null;
  readonly queue: number;
  readonly held: number;
  readonly oldestSeconds: number | null;
  /** Destinations. */
  readonly waitsFor: readonly string[];
}

export async function readStatuses(
  cluster: Pods,
  relay: string,
  pod?: string,
): Promise<{ readonly statuses: Statuses; readonly silent: readonly Ran[] }> {
  const pods = await choosePods(cluster, relay, pod);
  // Status 1 says that the relay is not ready; its status is there all the same.
  const ran = await askPods(pods, (name) => cluster.run(name, ['status', '-o', 'json']));
  const statuses = new Map(ran.map(({ pod: name, out }) => [name, parsePodStatus(out) ?? null]));
  return { statuses, silent: ran.filter(({ pod: name }) => statuses.get(name) === null) };
}

function describeLoads(loads: readonly (readonly [string, Load | null])[]): string {
  return describeTable([
    HEADS,
    ...loads.map(([pod, load]) => [pod, ...(load ? describeLoad(load) : ['no answer'])]),
  ]);
}

function describeLoad({ ready, sessions, tls, queue, held, oldestSeconds, waitsFor }: Load): string[] {
  const [first = '-', ...others] = waitsFor;
  return [
    ready ? 'yes' : 'no',
    String(sessions),
    tls ?? '-',
    String(queue),
    String(held),
    oldestSeconds === null ? '-' : age(0, oldestSeconds * 1_000),
    others.length > 0 ? `${first} and ${others.length} more` : first,
  ];
}

function readLoad({ ready, sessions, queue }: PodStatus): Load {
  return {
    ready,
    sessions: sessions.open,
    tls: describeTlsShare([sessions]) ?? null,
    queue: queue.depth,
    held: queue.held,
    oldestSeconds: queue.oldestSeconds,
    waitsFor: queue.deferrals.map(({ destination }) => destination),
  };
}

interface LoadOrder {
  readonly pod?: string | undefined;
  readonly form: Form;
  readonly isOnce: boolean;
  readonly signal: AbortSignal;
}

/** Once, it says too why a pod has no answer; the exit status is then 1. */
export async function showLoad(
  cluster: Pods,
  relay: string,
  { pod, form, isOnce, signal }: LoadOrder,
): Promise<number> {
  while (!signal.aborted) {
    const { statuses, silent } = await readStatuses(cluster, relay, pod);
    const loads = [...statuses].map(([name, one]) => [name, one && readLoad(one)] as const);
    if (isOnce) {
      process.stderr.write(describeErrors(silent));
      await print(form, Object.fromEntries(loads), () => describeLoads(loads));
      return silent.length > 0 ? 1 : 0;
    }
    process.stdout.write(`${CLEAR}${describeLoads(loads)}`);
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
  }
  return 0;
}
