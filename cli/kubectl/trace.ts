/** `kubectl mailrelay trace`: the lines of the SMTP trace in the logs of all pods of a relay, as they come. */
import { isTraceLine, type TraceFilter } from '../trace.ts';
import type { Cluster } from './cluster.ts';
import { choosePods } from './inpods.ts';

export interface TraceOrder extends TraceFilter {
  readonly relay: string;
  readonly pod?: string | undefined;
  /** Of the log so far: such as 600 for the last ten minutes. */
  readonly sinceSeconds?: number | undefined;
  readonly follow: boolean;
}

export async function followTrace(cluster: Cluster, order: TraceOrder, signal: AbortSignal): Promise<number> {
  const { relay, pod, sinceSeconds, follow } = order;
  const pods = await choosePods(cluster, relay, pod);
  const query = {
    follow: String(follow),
    ...(sinceSeconds === undefined
      ? { tailLines: follow ? '0' : undefined }
      : { sinceSeconds: String(sinceSeconds) }),
  };
  await Promise.all(
    pods.map(async (name) => {
      const mark = pods.length === 1 ? '' : `${name} `;
      for await (const line of cluster.log(name, query, signal))
        if (isTraceLine(line, order)) process.stdout.write(`${mark}${line}\n`);
    }),
  );
  return 0;
}
