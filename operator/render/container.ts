/** What the containers of the pods have in common: Pod Security level restricted, and the form of their resources. Pure. */
import type { Amounts, Resources } from '#crds/workload.ts';
import { canonicalCpu, canonicalQuantity } from './quantity.ts';

export const RESTRICTED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

/** `usual`: the requests that are not in the spec. */
export function renderResources({ requests, limits }: Resources = {}, usual: Amounts) {
  return {
    requests: canonical({ ...usual, ...requests }),
    ...(limits ? { limits: canonical(limits) } : {}),
  };
}

function canonical({ cpu, memory }: Amounts) {
  return {
    ...(cpu === undefined ? {} : { cpu: canonicalCpu(cpu) }),
    ...(memory === undefined ? {} : { memory: canonicalQuantity(memory) }),
  };
}
