/**
 * Which MailRelays an object concerns, and which of its fields the caches keep. Anybody who may write into a namespace
 * can set our labels. So the caches keep only the metadata of an object that our relays cannot have created, and nobody
 * can fill the memory of the operator with large objects. Pure.
 */
import { GROUP } from '#crds/wellknown.ts';
import { APPLIED_ANNOTATION } from './compare.ts';
import type { KubeObject } from './kube/client.ts';
import { CERTIFICATE, CLAIM, MAIL_RELAY, POD, STATEFUL_SET } from './kube/kinds.ts';
import { objectNames } from './render/metadata.ts';

const INSTANCE = 'app.kubernetes.io/instance';
/** The annotations that the operator reads. Those of cert-manager name the Certificate of a CertificateRequest. */
const READ_ANNOTATIONS = [`${GROUP}/`, 'cert-manager.io/'];

/**
 * The relays by the label and by the controller of the object, so that a changed label does not hide it from its owner.
 */
export function listRelayKeys(object: KubeObject | undefined): Set<string> {
  if (!object) return new Set();
  const { namespace, labels } = object.metadata;
  const names = [labels?.[INSTANCE], findOwner(object)].filter((name) => name !== undefined);
  return new Set(names.map((name) => `${namespace}/${name}`));
}

export function reduceToKept(object: KubeObject): KubeObject {
  const { apiVersion = '', kind = '', metadata } = object;
  const { managedFields: _, ...own } = metadata as typeof metadata & { managedFields?: unknown };
  if (kind === MAIL_RELAY.kind) return { ...object, metadata: own };
  const read = Object.entries(metadata.annotations ?? {}).filter(([name]) =>
    READ_ANNOTATIONS.some((prefix) => name.startsWith(prefix)),
  );
  const bare = { apiVersion, kind, metadata: { ...own, annotations: Object.fromEntries(read) } };
  // A pod has no owner while its StatefulSet is replaced. The kubelet writes its status, and it is small.
  if (kind === POD.kind) return { ...bare, status: object['status'] };
  return mayBeOurs(object) ? { ...object, metadata: own } : bare;
}

/** Name of the MailRelay that owns the object. A pod is owned by the StatefulSet, which has the same name. */
function findOwner({ kind, metadata }: KubeObject): string | undefined {
  const controller = metadata.ownerReferences?.find((owner) => owner.controller === true);
  const expected = kind === POD.kind ? STATEFUL_SET : MAIL_RELAY;
  return controller?.kind === expected.kind ? controller.name : undefined;
}

/** The names that our relays give to objects of kinds that can have a megabyte each. */
const NAMES: Readonly<Record<string, (relay: string) => readonly string[]>> = {
  ConfigMap: (relay) => [objectNames.policy(relay), objectNames.authority(relay)],
  DNSEndpoint: (relay) => [relay],
};

/** True if a relay can have created the object. The name of a large one must fit too. */
function mayBeOurs(object: KubeObject): boolean {
  const { name, annotations, ownerReferences = [], labels } = object.metadata;
  switch (object.kind) {
    case CLAIM.kind:
      return true;
    case 'CertificateRequest':
      return ownerReferences.some(({ kind }) => kind === CERTIFICATE.kind);
    default: {
      const controlled = ownerReferences.some(({ controller }) => controller === true);
      const owner = controlled ? findOwner(object) : annotations?.[APPLIED_ANNOTATION] && labels?.[INSTANCE];
      if (!owner) return false;
      return NAMES[object.kind ?? '']?.(owner).includes(name) ?? true;
    }
  }
}
