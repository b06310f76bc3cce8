/**
 * Marks, unmarks and removes claims as judge/scaling.ts plans it. Every write names the version of the claim that was
 * judged. A claim that a person or another leader has changed meanwhile is left alone and judged again.
 */
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { mergePatch, type OnWrite, remove } from './apply.ts';
import { attempt, type Writer } from './attempt.ts';
import type { Scaling } from './judge/scaling.ts';
import type { KubeObject } from './kube/client.ts';
import { CLAIM } from './kube/kinds.ts';
import type { Obstacle } from './world.ts';

/**
 * Removes the marks before any write that can bring a pod back, because its claim is not empty when it takes mail
 * again.
 */
export async function unmarkClaims(
  writer: Writer,
  { unmarked }: Scaling,
  onWrite: OnWrite,
): Promise<Obstacle[]> {
  const obstacles: Obstacle[] = [];
  for (const claim of unmarked) obstacles.push(...(await mark(writer, claim, null, onWrite)));
  return obstacles;
}

export async function settleClaims(
  writer: Writer,
  { marked, removed }: Scaling,
  onWrite: OnWrite,
): Promise<Obstacle[]> {
  const obstacles: Obstacle[] = [];
  for (const { claim, proof } of marked) obstacles.push(...(await mark(writer, claim, proof, onWrite)));
  for (const claim of removed) {
    const object = `${CLAIM.kind}/${claim.metadata.name}`;
    obstacles.push(
      ...(await attempt(writer, object, claim.metadata.resourceVersion, () =>
        remove(writer, CLAIM, claim, onWrite),
      )),
    );
  }
  return obstacles;
}

function mark(
  writer: Writer,
  claim: KubeObject,
  proof: string | null,
  onWrite: OnWrite,
): Promise<Obstacle[]> {
  const { resourceVersion } = claim.metadata;
  const annotations = { [ANNOTATIONS.emptied]: proof };
  const object = `${CLAIM.kind}/${claim.metadata.name}`;
  return attempt(writer, object, { proof, resourceVersion }, async () => {
    await mergePatch(writer, CLAIM, claim, { metadata: { resourceVersion, annotations } });
    onWrite('patched', object);
  });
}
