/** A limit of CPU or memory is not below its request, in each container of the pods. Part of the list in rules.ts. */
import type { MailRelaySpec } from './mailrelay.ts';
import { SIDECAR_REQUESTS } from './resolver.ts';
import type { Rule } from './rule.ts';
import { parseCpu, parseSize } from './units.ts';
import { DEFAULT_REQUESTS, type Resources } from './workload.ts';

interface Container {
  /** Of the field with its resources, below the spec. */
  readonly path: string;
  readonly read: (spec: MailRelaySpec) => Resources | undefined;
  readonly requests: Readonly<Record<Resource, string>>;
}
type Resource = keyof typeof DEFAULT_REQUESTS;

const CONTAINERS: readonly Container[] = [
  { path: 'pod.resources', read: ({ pod }) => pod?.resources, requests: DEFAULT_REQUESTS },
  {
    path: 'outbound.resolver.sidecar.resources',
    read: ({ outbound }) => outbound?.resolver?.sidecar?.resources,
    requests: SIDECAR_REQUESTS,
  },
];

export const RESOURCE_RULES: readonly Rule[] = CONTAINERS.map(({ path, read, requests }) => ({
  path: `spec.${path}`,
  cel: `${celLacks(`${path}.limits`)} || (${celWithinLimit(path, 'cpu', requests.cpu)} && ${celWithinLimit(path, 'memory', requests.memory)})`,
  message: `a limit of ${path} is below its request, which is cpu ${requests.cpu} and memory ${requests.memory} unless set: raise the limit, or set a smaller request`,
  holds: (spec) => {
    const resources = read(spec);
    return (
      isWithinLimit(resources, 'cpu', requests.cpu, parseCpu) &&
      isWithinLimit(resources, 'memory', requests.memory, parseSize)
    );
  },
}));

function isWithinLimit(
  resources: Resources | undefined,
  resource: Resource,
  usual: string,
  amount: (text: string) => number | undefined,
): boolean {
  const limit = resources?.limits?.[resource];
  const request = resources?.requests?.[resource] ?? usual;
  return limit === undefined || Number(amount(limit)) >= Number(amount(request));
}

/** CEL that is true if the field is absent, or one of the fields around it. */
function celLacks(path: string): string {
  const parts = path.split('.');
  return parts.map((_, index) => `!has(self.${parts.slice(0, index + 1).join('.')})`).join(' || ');
}

function celWithinLimit(path: string, resource: Resource, usual: string): string {
  const at = `self.${path}`;
  return `(!has(${at}.limits.${resource}) || quantity(${at}.limits.${resource}).compareTo(quantity(has(${at}.requests) && has(${at}.requests.${resource}) ? ${at}.requests.${resource} : '${usual}')) >= 0)`;
}
