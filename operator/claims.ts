/**
 * The claims of pods that come and go, as judge/scaling.ts has it. Every write names the version of the claim that was
 * judged: one that changed meanwhile, by another hand or another leader, is left alone and judged anew.
 */
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { mergePatch, type OnWrite, type Writer } from './apply.ts';
import type { Scaling } from './judge/scaling.ts';
import type { KubeObject } from './kube/client.ts';
import { isKubeError } from './kube/errors.ts';
import { CLAIM, pathOf } from './kube/kinds.ts';

/** Before anything that could bring a pod back to serve: what it takes then is not empty any more. */
export async function unmarkClaims(writer: Writer, { unmarked }: Scaling, onWrite: OnWrite): Promise<void> {
  for (const claim of unmarked) await mark(writer, claim, null, onWrite);
}

export async function settleClaims(
  writer: Writer,
  { marked, removed }: Scaling,
  onWrite: OnWrite,
): Promise<void> {
  for (const { claim, podUid } of marked) await mark(writer, claim, podUid, onWrite);
  for (const claim of removed) await remove(writer, claim, onWrite);
}

async function mark(
  writer: Writer,
  claim: KubeObject,
  podUid: string | null,
  onWrite: OnWrite,
): Promise<void> {
  const { resourceVersion } = claim.metadata;
  const annotations = { [ANNOTATIONS.emptied]: podUid };
  await mergePatch(writer, CLAIM, claim, { metadata: { resourceVersion, annotations } });
  onWrite('patched', `${CLAIM.kind}/${claim.metadata.name}`);
}

async function remove(writer: Writer, { metadata }: KubeObject, onWrite: OnWrite): Promise<void> {
  const { uid, resourceVersion, namespace, name } = metadata;
  try {
    await writer.request({
      method: 'DELETE',
      path: pathOf(CLAIM, namespace, name),
      body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } },
    });
    onWrite('deleted', `${CLAIM.kind}/${name}`);
  } catch (error) {
    if (!isKubeError(error, 'notFound', 'conflict')) throw error;
  }
}
