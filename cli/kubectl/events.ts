/** `kubectl mailrelay events`: what happened to a relay, its pods, volumes and certificates, the latest last. */
import type { KubeObject } from '#operator/kube/client.ts';
import type { Kind } from '#operator/kube/kinds.ts';
import { age, describeTable } from '../terminal.ts';
import type { Cluster } from './cluster.ts';

const EVENT: Kind = { kind: 'Event', apiVersion: 'v1', plural: 'events' };

export interface EventLine {
  readonly lastSeen: string;
  readonly type: string;
  readonly reason: string;
  readonly object: string;
  readonly count: number;
  readonly message: string;
}

interface CoreEvent extends KubeObject {
  readonly involvedObject?: { readonly kind?: string; readonly name?: string };
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly count?: number;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string };
  readonly eventTime?: string | null;
  readonly lastTimestamp?: string | null;
}

export async function listEvents(
  cluster: Pick<Cluster, 'readRelay' | 'list'>,
  relay: string,
): Promise<EventLine[]> {
  await cluster.readRelay(relay);
  const events = await cluster.list<CoreEvent>(EVENT);
  return events
    .filter(({ involvedObject }) => concerns(relay, involvedObject?.name ?? ''))
    .map(readEvent)
    .toSorted((a, b) => a.lastSeen.localeCompare(b.lastSeen));
}

/** Pods are NAME-0, volumes spool-NAME-0, certificates and requests begin with the name too. */
export function concerns(relay: string, object: string): boolean {
  const own = object.startsWith('spool-') ? object.slice('spool-'.length) : object;
  return (
    own.startsWith(relay) &&
    /^(?:-(?:[0-9]+|tls|internal|policy|pods|ca)\b.*)?$/.test(own.slice(relay.length))
  );
}

function readEvent(event: CoreEvent): EventLine {
  const { involvedObject, type = 'Normal', reason = '', message = '', series, metadata } = event;
  const seen =
    series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? metadata.creationTimestamp;
  return {
    lastSeen: seen ?? '',
    type,
    reason,
    object: `${involvedObject?.kind ?? ''}/${involvedObject?.name ?? ''}`,
    count: series?.count ?? event.count ?? 1,
    message,
  };
}

export function describeEvents(events: readonly EventLine[], now: number): string {
  if (events.length === 0)
    return 'Nothing happened in the time for which the cluster keeps events (an hour by default).\n';
  const rows = events.map(({ lastSeen, type, reason, object, count, message }) => [
    age(Date.parse(lastSeen), now),
    type,
    count > 1 ? `${reason} x${count}` : reason,
    object,
    message,
  ]);
  return describeTable([['LAST SEEN', 'TYPE', 'REASON', 'OBJECT', 'MESSAGE'], ...rows]);
}
