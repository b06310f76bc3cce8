/**
 * Does a live object already say what is wanted? The API server adds defaults and other managers add fields, so only
 * the wanted fields are compared, in depth; fields that we wanted once and no longer do are found by the hash of what
 * was applied, which the object carries. Sending nothing when nothing differs is what keeps idle free. Pure.
 */
import { hashOf } from '#crds/policyfile.ts';
import { GROUP } from '#crds/wellknown.ts';
import type { KubeObject } from './kube/client.ts';
import type { Rendered } from './render/index.ts';

const APPLIED_ANNOTATION = `${GROUP}/applied`;

/** The object as it is sent: with the hash of itself. */
export function stamped(wanted: Rendered): Rendered {
  const annotations = { ...wanted.metadata.annotations, [APPLIED_ANNOTATION]: hashOf(wanted) };
  return { ...wanted, metadata: { ...wanted.metadata, annotations } };
}

export function isUpToDate(live: KubeObject, wanted: Rendered): boolean {
  return covers(live, stamped(wanted));
}

/** True where `live` has everything that `wanted` has, with the same values; lists must agree item by item. */
export function covers(live: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(live) &&
      live.length === wanted.length &&
      wanted.every((item, index) => covers(live[index], item))
    );
  }
  if (wanted === null || typeof wanted !== 'object') return live === wanted;
  if (live === null || typeof live !== 'object') {
    // An empty object is what the API server leaves out.
    return live === undefined && Object.keys(wanted).length === 0;
  }
  return Object.entries(wanted).every(([key, value]) =>
    covers((live as Record<string, unknown>)[key], value),
  );
}

/** True where the object belongs to the MailRelay with this uid. */
export function isOwnedBy(object: KubeObject, uid: string): boolean {
  return (
    object.metadata.ownerReferences?.some((owner) => owner.uid === uid && owner.controller === true) ?? false
  );
}
