/**
 * Whose a MailRelay is, where several operators run in one cluster. The class chooses, as with an IngressClass; among
 * those that a class fits the first one keeps it: it writes its name, namespace and release, into the status, and on all
 * that it makes. A person hands a relay over by an annotation. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { isOwnedBy } from './compare.ts';
import type { Rendered } from './render/index.ts';
import type { RelayEvent } from './report/events.ts';
import type { World } from './world.ts';

export interface Installation {
  /** Namespace and release. */
  readonly name: string;
  readonly className: string;
  /** True where relays without a class are its own. */
  readonly isDefault: boolean;
}

export type Claim =
  | { readonly kind: 'ours' }
  /** To be stamped before anything is done with it. */
  | { readonly kind: 'free' }
  /** A person gave it to another operator: nobody need be told. */
  | { readonly kind: 'notOurs' }
  /** Another one with this class was first. */
  | { readonly kind: 'taken'; readonly by: string };

export function decideClaim(
  relay: MailRelay,
  objects: World['objects'],
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

/** A stamp of another class counts no more. Where a backup brought a relay back without status, its objects tell. */
function findStamp(relay: MailRelay, objects: World['objects']): string | undefined {
  const { spec, status } = relay;
  if (status?.installation !== undefined)
    return status.className === spec.className ? status.installation : undefined;
  for (const object of objects.values()) {
    const stamp = object.metadata.annotations?.[ANNOTATIONS.installation];
    if (stamp !== undefined && isOwnedBy(object, relay)) return stamp;
  }
  return undefined;
}

/** The part of the status that says whose it is; the rest is reported later. */
export function stampFor({ spec }: MailRelay, { name }: Installation) {
  return { installation: name, className: spec.className ?? null };
}

/** A wanted object with the stamp of its relay. */
export function withStamp(wanted: Rendered, { status }: MailRelay): Rendered {
  if (status?.installation === undefined) return wanted;
  const annotations = { ...wanted.metadata.annotations, [ANNOTATIONS.installation]: status.installation };
  return { ...wanted, metadata: { ...wanted.metadata, annotations } };
}

/** What a person hears of a relay that two operators could look after. */
export function takenEvent({ metadata }: MailRelay, by: string, { name }: Installation): RelayEvent {
  const handOver = `kubectl annotate mailrelay -n ${metadata.namespace} ${metadata.name} ${ANNOTATIONS.installation}=${name}`;
  return {
    type: 'Warning',
    reason: 'OtherInstallation',
    note: `Installation ${by} looks after it, so ${name} leaves it alone: set spec.className to the className of one of them, or hand it over by "${handOver}"`,
  };
}
