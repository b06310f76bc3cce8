/**
 * Decides which installation manages a MailRelay if several operators run in one cluster. The class chooses, as with an
 * IngressClass. Among the operators of one class the first keeps the MailRelay: it writes its name (namespace and
 * release) into the status and on every object that it creates. A person moves a relay to another installation by an
 * annotation. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { isOwnedBy } from './compare.ts';
import type { KeptObject } from './kube/client.ts';
import type { RelayEvent } from './kube/events.ts';
import type { Rendered } from './render/index.ts';

export interface Installation {
  /** Namespace and release. */
  readonly name: string;
  readonly className: string;
  /** True if this installation manages relays without a class. */
  readonly isDefault: boolean;
}

export type Claim =
  | { readonly kind: 'ours' }
  /** No installation manages it. It gets our stamp before any other write. */
  | { readonly kind: 'free' }
  /** A person gave the MailRelay to another installation, so no event is needed. */
  | { readonly kind: 'notOurs' }
  /** Another installation with this class was first. */
  | { readonly kind: 'taken'; readonly by: string };

export function decideClaim(
  relay: MailRelay,
  objects: ReadonlyMap<string, KeptObject>,
  { name, className, isDefault }: Installation,
): Claim {
  const { spec, status, metadata } = relay;
  if (spec.className === undefined ? !isDefault : spec.className !== className) return { kind: 'notOurs' };
  const stamp = findStamp(relay, objects);
  const given = metadata.annotations?.[ANNOTATIONS.installation];
  if (given !== undefined && given !== name) return { kind: 'notOurs' };
  if (given === undefined && stamp !== undefined && stamp !== name) return { kind: 'taken', by: stamp };
  const isStamped = status?.installation === name && status.className === spec.className;
  return { kind: isStamped ? 'ours' : 'free' };
}

/**
 * The stamp of the MailRelay. A stamp of an earlier class does not count. A MailRelay that a backup restored has no
 * status; then the stamps on its objects count.
 */
function findStamp(relay: MailRelay, objects: ReadonlyMap<string, KeptObject>): string | undefined {
  const { spec, status } = relay;
  if (status?.installation !== undefined)
    return status.className === spec.className ? status.installation : undefined;
  for (const object of objects.values()) {
    const stamp = object.metadata.annotations?.[ANNOTATIONS.installation];
    if (stamp !== undefined && isOwnedBy(object, relay)) return stamp;
  }
  return undefined;
}

/** The words of YAML for false, and a zero. */
const NOT_PAUSED: ReadonlySet<string> = new Set(['', 'false', 'no', 'n', 'off', '0']);

/**
 * True if a person has stopped the reconciling of this relay. Its pods go on. Whoever writes `True` or `yes` wants that too, and
 * the column of kubectl shows the word.
 */
export function isPaused({ metadata }: Pick<MailRelay, 'metadata'>): boolean {
  return !NOT_PAUSED.has((metadata.annotations?.[ANNOTATIONS.paused] ?? '').trim().toLowerCase());
}

/** The part of the status that names the installation. The other parts are reported later. */
export function stampFor({ spec }: MailRelay, { name }: Installation) {
  return { installation: name, className: spec.className ?? null };
}

/** A wanted object with the stamp of its relay. */
export function withStamp(wanted: Rendered, { status }: MailRelay): Rendered {
  if (status?.installation === undefined) return wanted;
  const annotations = { ...wanted.metadata.annotations, [ANNOTATIONS.installation]: status.installation };
  return { ...wanted, metadata: { ...wanted.metadata, annotations } };
}

/** The event for a MailRelay that two installations could manage. */
export function takenEvent({ metadata }: MailRelay, by: string, { name }: Installation): RelayEvent {
  const handOver = `kubectl annotate mailrelay -n ${metadata.namespace} ${metadata.name} ${ANNOTATIONS.installation}=${name}`;
  return {
    type: 'Warning',
    reason: 'OtherInstallation',
    note: `Installation ${by} looks after it, so ${name} leaves it alone: set spec.className to the className of one of them, or hand it over by "${handOver}"`,
  };
}
