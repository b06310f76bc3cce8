/**
 * The Secret whose certificate the pods serve: the StatefulSet mounts it. While the StatefulSet is made anew around its
 * running pods, the ConfigMap of the policy says it. Pure.
 */
import { ANNOTATIONS } from '#crds/wellknown.ts';
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

export function findServedSecret({ relay, objects }: Pick<World, 'relay' | 'objects'>): string | undefined {
  const { name } = relay.metadata;
  const set = objects.get(`StatefulSet/${name}`);
  const { template } = (set?.['spec'] ?? {}) as Spec;
  const volume = template?.spec?.volumes?.find((one) => one.name === 'certificate');
  if (volume) return volume.secret?.secretName;
  const policy = objects.get(`ConfigMap/${objectNames.policy(name)}`);
  return policy?.metadata.annotations?.[ANNOTATIONS.certificate];
}
