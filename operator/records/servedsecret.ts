/**
 * The Secret whose certificate the pods serve: the StatefulSet mounts it. While the StatefulSet is made anew around its
 * running pods, the ConfigMap of the policy says it. Pure.
 */
import { ANNOTATIONS } from '#crds/wellknown.ts';
import type { KeptObject } from '../kube/client.ts';
import { isKnown } from '../kube/partial.ts';
import { objectNames } from '../render/metadata.ts';
import type { World } from '../world.ts';

interface Spec {
  readonly template?: {
    readonly spec?: {
      readonly volumes?: readonly {
        readonly name: string;
        readonly secret?: { readonly secretName?: string };
      }[];
    };
  };
}

interface Observed extends Pick<World, 'relay'> {
  readonly objects: ReadonlyMap<string, KeptObject>;
}

export function findServedSecret({ relay, objects }: Observed): string | undefined {
  const { name } = relay.metadata;
  const set = objects.get(`StatefulSet/${name}`);
  const { template } = ((set && isKnown(set) && set['spec']) || {}) as Spec;
  const volume = template?.spec?.volumes?.find((one) => one.name === 'certificate');
  if (volume) return volume.secret?.secretName;
  const policy = objects.get(`ConfigMap/${objectNames.policy(name)}`);
  return policy?.metadata.annotations?.[ANNOTATIONS.certificate];
}
