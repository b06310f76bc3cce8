/**
 * Which MailRelays an object concerns, and which of its fields the caches keep. Anybody who may write into a namespace
 * can set our labels, and give an object a megabyte of anything. So the caches keep the whole of an object only if a
 * MailRelay is there that can have created it. Of all others they keep the metadata that the operator reads, and nobody
 * can fill its memory with large objects. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import { certificateSecretName, listSniCertificates } from '#crds/effective.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { isNumbered } from '#crds/scalefile.ts';
import { ANNOTATIONS, OWN_LABELS, SERVING_LABEL, SIDECAR_CONTAINER } from '#crds/wellknown.ts';
import { APPLIED_ANNOTATION, findController } from './compare.ts';
import { CERTIFICATE_NAME, CERTIFICATE_REVISION } from './judge/issue.ts';
import { REVISION_LABEL } from './judge/refusals.ts';
import type { KeptObject, KubeObject } from './kube/client.ts';
import { CERTIFICATE, CERTIFICATE_REQUEST, CLAIM, MAIL_RELAY, POD, STATEFUL_SET } from './kube/kinds.ts';
import { objectNames } from './render/metadata.ts';

const INSTANCE = 'app.kubernetes.io/instance';
const READ_LABELS = new Set([...OWN_LABELS, SERVING_LABEL, REVISION_LABEL]);
const READ_ANNOTATIONS = new Set<string>([
  ...Object.values(ANNOTATIONS),
  ...[APPLIED_ANNOTATION, CERTIFICATE_NAME, CERTIFICATE_REVISION],
]);
/** The values that we write are shorter. */
const VALUE_LENGTH = 512;
/** In place of a longer one, where that there is one may be all that is asked: a pause may have a long reason. */
const LONG = '(long)';
const ASKED_WHETHER = new Set<string>([ANNOTATIONS.paused, ANNOTATIONS.installation]);

/**
 * The relays by the label and by the controller of the object, so that a changed label does not hide it from its owner.
 * The name of a pod proves nothing: one that its StatefulSet released is looked for by labels.ts.
 */
export function listRelayKeys(object: KeptObject | undefined): Set<string> {
  if (!object) return new Set();
  const { namespace, labels } = object.metadata;
  const names = [labels?.[INSTANCE], findOwner(object)].filter((name) => name !== undefined);
  return new Set(names.map((name) => `${namespace}/${name}`));
}

/** What is known of a MailRelay that exists. `served`: the Secret that its StatefulSet has its pods serve. */
export interface KnownRelay extends Pick<MailRelay, 'spec'> {
  readonly served?: string | undefined;
}

/** Finds the MailRelay with this key. */
type FindRelay = (key: string) => KnownRelay | undefined;

export function reduceToKept(object: KubeObject, findRelay: FindRelay): KubeObject {
  const { apiVersion = '', kind = '', metadata, status } = object;
  const { managedFields: _, finalizers: __, ...own } = metadata as typeof metadata & Record<string, unknown>;
  const read = {
    ...own,
    labels: pick(metadata.labels, READ_LABELS),
    annotations: pick(metadata.annotations, READ_ANNOTATIONS),
  };
  if (kind === MAIL_RELAY.kind) return { ...object, metadata: read };
  const ownerReferences = metadata.ownerReferences?.filter(({ controller }) => controller === true) ?? [];
  const bare = { apiVersion, kind, metadata: { ...read, ownerReferences } };
  // A pod has no owner while its StatefulSet is replaced. Only the cluster writes these statuses, and they are small.
  if (kind === POD.kind) return { ...bare, ...keepPodSpec(object), status };
  if (kind === CERTIFICATE_REQUEST.kind)
    return { ...bare, status: { conditions: (status as { conditions?: unknown } | undefined)?.conditions } };
  if (isContentKept(object, findRelay)) return { ...object, metadata: own };
  return { ...bare, ...(kind === CERTIFICATE.kind ? keepSecret(object) : {}), isPartial: true };
}

/**
 * Of a Certificate that a roll-over left: its Secret and its key. Pods may still serve it when no spec names it any more,
 * and by these it stays until they do not.
 */
function keepSecret({ metadata, spec }: KubeObject): object {
  const { secretName = '', privateKey = {} } = (spec ?? {}) as LeftCertificate;
  const { algorithm, size } = privateKey;
  const isSecond = secretName !== '' && isShort(secretName) && isSecondCertificate(metadata, secretName);
  const key = { ...(isShort(algorithm) ? { algorithm } : {}), ...(isShort(size) ? { size } : {}) };
  return isSecond ? { spec: { secretName, privateKey: key } } : {};
}

interface LeftCertificate {
  readonly secretName?: string;
  readonly privateKey?: { readonly algorithm?: unknown; readonly size?: unknown };
}

function isSecondCertificate(metadata: KubeObject['metadata'], secret: string): boolean {
  const owner = findOwner({ kind: CERTIFICATE.kind, metadata });
  return owner !== undefined && metadata.name === objectNames.secondCertificate(owner, secret);
}

const isShort = (value: unknown) =>
  typeof value === 'number' || (typeof value === 'string' && value.length <= VALUE_LENGTH);

/**
 * Where a pod runs, for the message about a node that is away; what proves whose it is (judge/ownpods.ts); and whether it has the
 * sidecar (judge/sidecar.ts).
 */
function keepPodSpec(pod: KubeObject): { spec?: PodSpec } {
  const { nodeName, serviceAccountName, volumes = [], initContainers = [] } = (pod['spec'] ?? {}) as PodSpec;
  const claimName = objectNames.claim(pod.metadata.name);
  const isUsed = volumes.some((volume) => volume.persistentVolumeClaim?.claimName === claimName);
  const kept = {
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(serviceAccountName === undefined ? {} : { serviceAccountName }),
    ...(initContainers.some(({ name }) => name === SIDECAR_CONTAINER)
      ? { initContainers: [{ name: SIDECAR_CONTAINER }] }
      : {}),
    ...(isUsed ? { volumes: [{ persistentVolumeClaim: { claimName } }] } : {}),
  };
  return Object.keys(kept).length === 0 ? {} : { spec: kept };
}

interface PodSpec {
  readonly nodeName?: string;
  readonly serviceAccountName?: string;
  readonly initContainers?: readonly { readonly name?: string }[];
  readonly volumes?: readonly { readonly persistentVolumeClaim?: { readonly claimName?: string } }[];
}

/**
 * By its metadata: false if reduceToKept reads nothing of the content of the object. Of a Certificate it may keep the
 * Secret.
 */
export function needsContent(object: KeptObject, findRelay: FindRelay): boolean {
  const { kind, metadata } = object;
  if ([MAIL_RELAY, POD, CERTIFICATE_REQUEST].some((one) => one.kind === kind)) return true;
  const owner = kind === CERTIFICATE.kind ? findOwner(object) : undefined;
  const isLeft = owner !== undefined && findRelay(`${metadata.namespace}/${owner}`) !== undefined;
  return isLeft || isContentKept(object, findRelay);
}

/** True if a MailRelay is there that can have created the object. */
function isContentKept(object: KeptObject, findRelay: FindRelay): boolean {
  const maker = findMaker(object, findRelay);
  return maker !== undefined && findRelay(`${object.metadata.namespace}/${maker}`) !== undefined;
}

/**
 * A MailRelay with the spec of `before` if both are equal. It changes with each write of its status, and what was
 * made of a large spec need not be made again.
 */
export function withKnownSpec(object: KubeObject, before: KubeObject | undefined): KubeObject {
  const isSame =
    object.kind === MAIL_RELAY.kind &&
    before?.metadata.uid === object.metadata.uid &&
    before?.metadata.generation === object.metadata.generation &&
    isDeepStrictEqual(before?.['spec'], object['spec']);
  return isSame ? { ...object, spec: before?.['spec'] } : object;
}

function pick(values: Readonly<Record<string, string>> = {}, read: ReadonlySet<string>) {
  const picked = [...read].flatMap((name) => {
    const value = values[name];
    if (value === undefined) return [];
    if (value.length <= VALUE_LENGTH) return [[name, value]];
    return ASKED_WHETHER.has(name) ? [[name, LONG]] : [];
  });
  return Object.fromEntries(picked);
}

/** Name of the MailRelay that owns the object. A pod is owned by the StatefulSet, which has the same name. */
function findOwner({ kind, metadata }: KeptObject): string | undefined {
  const controller = findController({ metadata });
  const expected = kind === POD.kind ? STATEFUL_SET : MAIL_RELAY;
  return controller?.kind === expected.kind ? controller.name : undefined;
}

/** Name of the MailRelay that can have created the object. An object with any other name is not of a relay. */
export function findMaker(object: KeptObject, findRelay: FindRelay): string | undefined {
  const { name, namespace, annotations, labels, ownerReferences = [] } = object.metadata;
  const label = labels?.[INSTANCE];
  if (object.kind === CLAIM.kind)
    return label !== undefined && isNumbered(name, objectNames.claim(label)) ? label : undefined;
  const isControlled = ownerReferences.some(({ controller }) => controller === true);
  const owner = isControlled ? findOwner(object) : annotations?.[APPLIED_ANNOTATION] && label;
  if (owner === undefined) return undefined;
  const known = object.kind === CERTIFICATE.kind ? findRelay(`${namespace}/${owner}`) : undefined;
  return [...listNames(owner), ...listFurtherCertificates(owner, known)].includes(name) ? owner : undefined;
}

/**
 * Those for other host names, and those of a key that rolls over: of the present spec and of the Secret in service, so
 * that nobody can have any number of them kept.
 */
function listFurtherCertificates(relay: string, known: KnownRelay | undefined): string[] {
  if (!known) return [];
  const secrets = [certificateSecretName(relay, known.spec), known.served].filter((one) => one !== undefined);
  return [
    ...listSniCertificates(relay, known.spec).map(({ secret }) => secret),
    ...secrets.map((secret) => objectNames.secondCertificate(relay, secret)),
  ];
}

function listNames(relay: string): string[] {
  const { policy, pods, internalCertificate, policyHostCertificate, authority } = objectNames;
  const namings = [policy, pods, internalCertificate, policyHostCertificate, authority];
  return [relay, ...namings.map((nameFor) => nameFor(relay))];
}
