/** `kubectl mailrelay trace`: the lines of the SMTP trace in the logs of all pods of a relay, as they come. */
import { visible } from '../terminal.ts';
import { describeNone, isTraceLine, type TraceFilter } from '../trace.ts';
import type { Cluster } from './cluster.ts';
import { askPods, choosePods, describeErrors, worstCode } from './inpods.ts';

export interface TraceOrder extends TraceFilter {
  readonly relay: string;
  readonly pod?: string | undefined;
  /** Of the log so far: such as 600 for the last ten minutes. */
  readonly sinceSeconds?: number | undefined;
  readonly follow: boolean;
}

type Pods = Pick<Cluster, 'listPods' | 'log'>;

/** Ends when the logs end, or at Ctrl-C, which is no failure. A log that cannot be read takes nothing from the others. */
export async function followTrace(cluster: Pods, order: TraceOrder, signal: AbortSignal): Promise<number> {
  const { relay, pod, sinceSeconds, follow } = order;
  const pods = await choosePods(cluster, relay, pod);
  const query = {
    follow: String(follow),
    ...(sinceSeconds === undefined
      ? { tailLines: follow ? '0' : undefined }
      : { sinceSeconds: String(sinceSeconds) }),
  };
  let isEmpty = true;
  const ran = await askPods(pods, async (name) => {
    const mark = pods.length === 1 ? '' : `${name} `;
    try {
      for await (const line of cluster.log(name, query, signal)) {
        if (!isTraceLine(line, order)) continue;
        isEmpty = false;
        process.stdout.write(`${mark}${visible(line)}\n`);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    return { pod: name, code: 0, out: '', errors: '' };
  });
  process.stderr.write(describeErrors(ran));
  if (isEmpty) process.stderr.write(describeNone(order));
  return worstCode(ran);
}
