/**
 * Does a live object already say what is wanted? The API server adds defaults and other managers add fields, so only
 * the wanted fields are compared, in depth, as the API server would merge them; fields that we wanted once and no longer
 * do are found by the hash of what was applied, which the object carries. Sending nothing when nothing differs is what
 * keeps idle free, and an addition that no apply of ours would take away is no difference. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { hashContent } from '#crds/policyfile.ts';
import { GROUP, KIND, selectorLabels } from '#crds/wellknown.ts';
import type { KubeObject } from './kube/client.ts';
import type { Rendered } from './render/index.ts';

export const APPLIED_ANNOTATION = `${GROUP}/applied`;

/** The object as it is sent: with the hash of itself. */
export function stamped(wanted: Rendered): Rendered {
  const annotations = { ...wanted.metadata.annotations, [APPLIED_ANNOTATION]: hashContent(wanted) };
  return { ...wanted, metadata: { ...wanted.metadata, annotations } };
}

export function isUpToDate(live: KubeObject, wanted: Rendered): boolean {
  return covers(live, stamped(wanted));
}

/** Fields that the API server takes as one: what others add to them changes what they mean. */
const WHOLE = new Set(['selector', 'podSelector', 'namespaceSelector', 'labelSelector', 'ingress']);
/**
 * Lists that the API server merges by key (`x-kubernetes-list-map-keys`): what others add beside ours stays, as with
 * fields.
 */
const KEYED: Readonly<Record<string, readonly string[]>> = {
  ownerReferences: ['uid'],
  // Of a Service, and of a container.
  ports: ['port', 'containerPort', 'protocol'],
  containers: ['name'],
  env: ['name'],
  volumes: ['name'],
  volumeMounts: ['mountPath'],
  imagePullSecrets: ['name'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
};

/** True where `live` has everything that `wanted` has, with the same values. */
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

/** What the API server leaves out. */
function isEmpty(wanted: unknown): boolean {
  return wanted === null || (typeof wanted === 'object' && Object.keys(wanted).length === 0);
}

function coversField(field: string, live: unknown, wanted: unknown): boolean {
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
 * True where the object belongs to this MailRelay: by its controller, or where it has none by what we left on it, as
 * after `kubectl delete --cascade=orphan` and a new MailRelay of the name.
 */
export function isOwnedBy(object: KubeObject, { metadata }: MailRelay): boolean {
  const { ownerReferences = [], annotations } = object.metadata;
  const owner = ownerReferences.find(({ controller }) => controller === true);
  if (owner) return owner.uid === metadata.uid;
  return annotations?.[APPLIED_ANNOTATION] !== undefined && isLabelledFor(object, metadata.name);
}

export function hasController({ metadata }: KubeObject): boolean {
  return metadata.ownerReferences?.some(({ controller }) => controller === true) ?? false;
}

/** True where the object is being deleted, or will be: an earlier MailRelay of the name made it, and is gone. */
export function isGoing({ metadata }: KubeObject, relay: MailRelay): boolean {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  const { name, uid } = relay.metadata;
  const isOfEarlier = owner?.kind === KIND && owner.name === name && owner.uid !== uid;
  return metadata.deletionTimestamp !== undefined || isOfEarlier;
}

/** True where the object carries the labels of this relay: claims outlive their owner, and carry nothing else. */
export function isLabelledFor({ metadata }: KubeObject, relayName: string): boolean {
  return covers(metadata.labels, selectorLabels(relayName));
}
