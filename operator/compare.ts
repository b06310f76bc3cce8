/**
 * Compares a live object with the wanted one. The API server adds defaults and other managers add fields, so only the
 * wanted fields are compared, in depth, as the API server would merge them. Fields that we no longer want are found by
 * the hash of the last apply, which the object carries. An addition that our apply would not remove is no difference.
 * Without a difference nothing is sent, so that an idle operator costs nothing. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { hashContent } from '#crds/policyfile.ts';
import { GROUP, KIND, selectorLabels } from '#crds/wellknown.ts';
import type { KeptObject, KubeObject } from './kube/client.ts';
import type { Rendered } from './render/rendered.ts';

export const APPLIED_ANNOTATION = `${GROUP}/applied`;

/** The object as it is sent, with its own hash in an annotation. */
export function stamped(wanted: Rendered): Rendered {
  const annotations = { ...wanted.metadata.annotations, [APPLIED_ANNOTATION]: hashContent(wanted) };
  return { ...wanted, metadata: { ...wanted.metadata, annotations } };
}

export function isUpToDate(live: KubeObject, wanted: Rendered): boolean {
  return covers(live, stamped(wanted));
}

/** Fields that the API server treats as one value. An addition by others changes their meaning. */
const WHOLE = new Set(['selector', 'podSelector', 'namespaceSelector', 'labelSelector', 'ingress']);
/**
 * Lists that the API server merges by key (`x-kubernetes-list-map-keys`). Entries that others add stay, as fields do.
 */
const KEYED: Readonly<Record<string, readonly string[]>> = {
  ownerReferences: ['uid'],
  // The ports of a Service, and those of a container.
  ports: ['port', 'containerPort', 'protocol'],
  containers: ['name'],
  initContainers: ['name'],
  env: ['name'],
  volumes: ['name'],
  volumeMounts: ['mountPath'],
  imagePullSecrets: ['name'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
};

/** Fields that the API server does not store when they have these values. */
const ABSENT_AS: Readonly<Record<string, unknown>> = { publishNotReadyAddresses: false, minReadySeconds: 0 };

/** True if `live` has all fields of `wanted`, with the same values. */
export function covers(live: unknown, wanted: unknown): boolean {
  if (live === undefined && isEmpty(wanted)) return true;
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(live) &&
      live.length === wanted.length &&
      wanted.every((item, index) => covers(live[index], item))
    );
  }
  if (wanted === null || typeof wanted !== 'object') return live === wanted;
  if (live === null || typeof live !== 'object') return false;
  return Object.entries(wanted).every(([field, value]) =>
    coversField(field, (live as Record<string, unknown>)[field], value),
  );
}

/** True for values that the API server does not store. */
function isEmpty(wanted: unknown): boolean {
  return wanted === null || (typeof wanted === 'object' && Object.keys(wanted).length === 0);
}

function coversField(field: string, live: unknown, wanted: unknown): boolean {
  if (field in ABSENT_AS) return (live ?? ABSENT_AS[field]) === wanted;
  if (WHOLE.has(field)) return hashContent(live ?? {}) === hashContent(wanted);
  const keys = KEYED[field];
  if (keys === undefined || !Array.isArray(wanted) || !Array.isArray(live)) return covers(live, wanted);
  return wanted.every((item) =>
    covers(
      live.find((other) => keys.every((key) => other[key] === item[key])),
      item,
    ),
  );
}

/**
 * True if the object belongs to this MailRelay: by its controller, or, if it has none, by our labels and annotations,
 * as after `kubectl delete --cascade=orphan` and a new MailRelay of the same name.
 */
export function isOwnedBy(object: KeptObject, { metadata }: MailRelay): boolean {
  const owner = findController(object);
  if (owner) return owner.uid === metadata.uid;
  return (
    object.metadata.annotations?.[APPLIED_ANNOTATION] !== undefined && isLabelledFor(object, metadata.name)
  );
}

/** The reference to the one owner that controls the object. */
export function findController({ metadata }: KeptObject) {
  return metadata.ownerReferences?.find(({ controller }) => controller === true);
}

export function hasController(object: KeptObject): boolean {
  return findController(object) !== undefined;
}

/** True if the object is being deleted, or will be because its owner, an earlier MailRelay of the name, is gone. */
export function isGoing(object: KeptObject, relay: MailRelay): boolean {
  const owner = findController(object);
  const { name, uid } = relay.metadata;
  const isOfEarlier = owner?.kind === KIND && owner.name === name && owner.uid !== uid;
  return object.metadata.deletionTimestamp !== undefined || isOfEarlier;
}

/** True if the object has the labels of this relay. Claims outlive their owner, and labels are all that they carry. */
function isLabelledFor({ metadata }: KeptObject, relayName: string): boolean {
  return covers(metadata.labels, selectorLabels(relayName));
}
