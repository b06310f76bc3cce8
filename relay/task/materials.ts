/**
 * The contents of the Secrets and ConfigMaps of a policy: texts by object name and file name. They travel only over the
 * channel between supervisor and tasks. A task gets only the objects that it needs. Pure.
 */
import type { Policy } from '#crds/policyfile.ts';
import { inboundReferences, listNames, outboundReferences, type Reference } from '#crds/references.ts';

export type Files = Readonly<Record<string, string>>;

export interface Materials {
  readonly secrets: Readonly<Record<string, Files>>;
  readonly configMaps: Readonly<Record<string, Files>>;
}

export const NO_MATERIALS: Materials = { secrets: {}, configMaps: {} };

/**
 * A task never gets keys that it does not need. The listener gets the outbound objects only if it delivers by itself.
 */
export function listenerMaterials(policy: Policy, all: Materials): Materials {
  const outbound = policy.queue.mode === 'CutThrough' ? outboundReferences(policy) : [];
  return selectMaterials([...inboundReferences(policy), ...outbound], all);
}

export function routerMaterials(policy: Policy, all: Materials): Materials {
  return selectMaterials(outboundReferences(policy), all);
}

function selectMaterials(references: readonly Reference[], { secrets, configMaps }: Materials): Materials {
  const only = (kind: Reference['kind'], all: Readonly<Record<string, Files>>) =>
    Object.fromEntries(listNames(references, kind).flatMap((name) => (all[name] ? [[name, all[name]]] : [])));
  return { secrets: only('Secret', secrets), configMaps: only('ConfigMap', configMaps) };
}
