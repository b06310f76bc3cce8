/** `kubectl mailrelay events`: what happened to a relay, its pods, volumes and certificates, the latest last. */
import { isNumbered } from '#crds/scalefile.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import type { Kind } from '#operator/kube/kinds.ts';
import { objectNames } from '#operator/render/metadata.ts';
import { age, describeTable } from '../terminal.ts';
import type { Cluster } from './cluster.ts';

const EVENT: Kind = { kind: 'Event', apiVersion: 'v1', plural: 'events' };

const OF_A_SERVICE: ReadonlySet<string> = new Set(['Service', 'Endpoints']);
/** cert-manager names what it makes after the Certificate, with this many numbers behind it. */
const NUMBERS: Readonly<Record<string, number>> = {
  Certificate: 0,
  CertificateRequest: 1,
  Order: 2,
  Challenge: 3,
};
/** It cuts the name before the last number. */
const LONGEST_UNCUT = 52;
/** Those for other host names, and a second one for that of the relay: with digests, as objectNames has them. */
const FURTHER = '-(?:tls-[0-9a-f]{8}|[0-9a-f]{5})';

interface Involved {
  readonly kind?: string;
  readonly name?: string;
}

export interface EventLine {
  readonly lastSeen: string;
  readonly type: string;
  readonly reason: string;
  readonly object: string;
  readonly count: number;
  readonly message: string;
}

interface CoreEvent extends KubeObject {
  readonly involvedObject?: Involved;
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
    .filter(({ involvedObject }) => concerns(relay, involvedObject ?? {}))
    .map(readEvent)
    .toSorted((a, b) => a.lastSeen.localeCompare(b.lastSeen));
}

/**
 * By the names that the operator gives to each kind. Another relay may be called NAME-2 or NAME-internal: its objects are not of
 * this relay.
 */
export function concerns(relay: string, { kind = '', name = '' }: Involved): boolean {
  const { policy, authority, pods, claim } = objectNames;
  const numbers = NUMBERS[kind];
  if (numbers !== undefined) return isOfCertificate(relay, name, numbers);
  if (kind === 'Pod') return isNumbered(name, relay);
  if (kind === 'PersistentVolumeClaim') return isNumbered(name, claim(relay));
  if (kind === 'ConfigMap') return [policy(relay), authority(relay)].includes(name);
  return name === relay || (OF_A_SERVICE.has(kind) && name === pods(relay));
}

function isOfCertificate(relay: string, name: string, numbers: number): boolean {
  const { internalCertificate, policyHostCertificate } = objectNames;
  const certificates = [
    relay,
    internalCertificate(relay),
    policyHostCertificate(relay),
    `${relay}${FURTHER}`,
  ];
  const least = name.length > LONGEST_UNCUT ? Math.min(1, numbers) : numbers;
  return new RegExp(`^(?:${certificates.join('|')})(?:-[0-9]+){${least},${numbers}}$`).test(name);
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
