/** `kubectl mailrelay top`: the load of each pod of a relay, once or again and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describeTlsShare, type PodStatus, parsePodStatus } from '#crds/podstatus.ts';
import { age, describeTable } from '../terminal.ts';
import type { Cluster } from './cluster.ts';
import { choosePods } from './inpods.ts';

const PAUSE_MS = 2_000;
const CLEAR = '\x1b[H\x1b[2J';
const HEADS = ['POD', 'READY', 'SESSIONS', 'TLS', 'QUEUE', 'HELD', 'OLDEST', 'WAITS FOR'];

export async function readStatuses(
  cluster: Cluster,
  relay: string,
  pod?: string,
): Promise<Map<string, PodStatus | undefined>> {
  const pods = await choosePods(cluster, relay, pod);
  // Status 1 says that the relay is not ready; its status is there all the same.
  const ran = await Promise.all(pods.map((name) => cluster.run(name, ['status', '-o', 'json'])));
  return new Map(ran.map(({ pod: name, out }) => [name, parsePodStatus(out)]));
}

function describeLoad(statuses: ReadonlyMap<string, PodStatus | undefined>): string {
  const rows = [...statuses].map(([pod, status]) => (status ? describePod(pod, status) : [pod, 'no answer']));
  return describeTable([HEADS, ...rows]);
}

function describePod(pod: string, { ready, sessions, queue }: PodStatus): string[] {
  const [first, ...others] = queue.deferrals;
  const more = others.length > 0 ? ` and ${others.length} more` : '';
  return [
    pod,
    ready ? 'yes' : 'no',
    String(sessions.open),
    describeTlsShare([sessions]) ?? '-',
    String(queue.depth),
    String(queue.held),
    queue.oldestSeconds === null ? '-' : age(0, queue.oldestSeconds * 1_000),
    first ? `${first.destination}${more}` : '-',
  ];
}

export async function showLoad(
  cluster: Cluster,
  relay: string,
  { pod, isOnce, signal }: { pod?: string | undefined; isOnce: boolean; signal: AbortSignal },
): Promise<number> {
  while (!signal.aborted) {
    const text = describeLoad(await readStatuses(cluster, relay, pod));
    process.stdout.write(isOnce ? text : `${CLEAR}${text}`);
    if (isOnce) return 0;
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
  }
  return 0;
}
