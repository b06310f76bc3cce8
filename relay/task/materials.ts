/**
 * The contents of the Secrets and ConfigMaps that a policy names: texts by file, by name of the object. They cross the
 * channel between supervisor and tasks only; a task gets what it needs and no more. Pure.
 */
import type { Policy } from '#crds/policyfile.ts';
import { inboundReferences, namesOf, outboundReferences, type Reference } from '#crds/references.ts';

export type Files = Readonly<Record<string, string>>;

export interface Materials {
  readonly secrets: Readonly<Record<string, Files>>;
  readonly configMaps: Readonly<Record<string, Files>>;
}

export const NO_MATERIALS: Materials = { secrets: {}, configMaps: {} };

/** Nobody gets keys that he does not need: the listener has those of the way out only where it delivers by itself. */
export function listenerMaterials(policy: Policy, all: Materials): Materials {
  const outbound = policy.queue.mode === 'CutThrough' ? outboundReferences(policy) : [];
  return materialsFor([...inboundReferences(policy), ...outbound], all);
}

export function routerMaterials(policy: Policy, all: Materials): Materials {
  return materialsFor(outboundReferences(policy), all);
}

function materialsFor(references: readonly Reference[], { secrets, configMaps }: Materials): Materials {
  const only = (kind: Reference['kind'], all: Readonly<Record<string, Files>>) =>
    Object.fromEntries(namesOf(references, kind).flatMap((name) => (all[name] ? [[name, all[name]]] : [])));
  return { secrets: only('Secret', secrets), configMaps: only('ConfigMap', configMaps) };
}
