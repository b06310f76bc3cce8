/**
 * Which MailRelays an object concerns, and what the caches keep of it. Labels can be written by anybody who may write
 * into a namespace: an object that no relay of ours can have made is kept as its metadata alone, however large it is,
 * so that nobody can fill the memory of the operator. Pure.
 */
import { GROUP } from '#crds/wellknown.ts';
import { APPLIED_ANNOTATION } from './compare.ts';
import type { KubeObject } from './kube/client.ts';
import { CERTIFICATE, CLAIM, MAIL_RELAY, POD, STATEFUL_SET } from './kube/kinds.ts';
import { objectNames } from './render/metadata.ts';

const INSTANCE = 'app.kubernetes.io/instance';
/** cert-manager tells by annotations which Certificate a request is for. */
const READ_ANNOTATIONS = [`${GROUP}/`, 'cert-manager.io/'];

/** By its label, and by its controller: a label that somebody changed hides nothing from the owner. */
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
  // A pod has no owner while its StatefulSet is made anew. Its status is the kubelet's, and small.
  if (kind === POD.kind) return { ...bare, status: object['status'] };
  return mayBeOurs(object) ? { ...object, metadata: own } : bare;
}

/** The MailRelay that made it, by name; of a pod the StatefulSet, which has the same name. */
function findOwner({ kind, metadata }: KubeObject): string | undefined {
  const controller = metadata.ownerReferences?.find((owner) => owner.controller === true);
  const expected = kind === POD.kind ? STATEFUL_SET : MAIL_RELAY;
  return controller?.kind === expected.kind ? controller.name : undefined;
}

/** ConfigMaps may have a megabyte each, so their names are looked at too. */
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
      return (
        object.kind !== 'ConfigMap' ||
        [objectNames.policy(owner), objectNames.authority(owner)].includes(name)
      );
    }
  }
}
