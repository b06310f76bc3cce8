/**
 * The chart, as the real Helm renders it, for the tests beside this file. Without Go there is no Helm, and they are
 * skipped, loudly; with CI set that is a failure.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { program } from '#test/cluster/programs.ts';

export const CHART = new URL('../../charts/mailrelay-operator', import.meta.url).pathname;
export const IMAGE = 'registry.example/mailrelay';

const say = (line: string) => process.stderr.write(`chart: ${line}\n`);
async function findHelms() {
  return { helm: await program('helm', say), helm4: await program('helm4', say), problem: false as const };
}
export const { helm, helm4, problem } = await findHelms().catch((error: Error) => ({
  helm: '',
  helm4: '',
  problem: `there is no Helm: ${error.message}`,
}));
if (problem) process.stderr.write(`\n*** THE CHART IS NOT TESTED: ${problem} ***\n\n`);
assert.ok(!(problem && process.env['CI']), String(problem));

export type Values = Readonly<Record<string, unknown>>;
export interface KubeObject {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: objects of any kind are looked into.
  readonly spec: any;
  readonly [field: string]: unknown;
}

export function template(
  values: Values,
  { release = 'mailrelay', namespace = 'mailrelay-system', chart = CHART, by = helm, set = '' } = {},
): string {
  // Helm reads YAML 1.1, where yes and off are booleans.
  const input = stringify(
    { image: { repository: IMAGE }, crds: { enabled: false }, ...values },
    { version: '1.1' },
  );
  const args = ['template', release, chart, '--namespace', namespace, '--kube-version', '1.34.0'];
  if (set !== '') args.push('--set', set);
  return execFileSync(by, [...args, '--values', '-'], { input, encoding: 'utf8', stdio: 'pipe' });
}

export function rendered(...given: Parameters<typeof template>): KubeObject[] {
  return parseAllDocuments(template(...given))
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object !== null);
}

export const only = (objects: readonly KubeObject[], kind: string, name?: string) => {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  );
  assert.equal(found.length, 1, `${found.length} of ${kind} ${name ?? ''}`);
  return found[0] as KubeObject;
};
export const podOf = (objects: readonly KubeObject[]) => only(objects, 'Deployment').spec.template;
export const argumentsOf = (objects: readonly KubeObject[]): string[] =>
  podOf(objects).spec.containers[0].args;
/** A look at a copy of the chart, with a change. */
export function changed<Seen>(change: (chart: string) => void, look: (chart: string) => Seen): Seen {
  const folder = mkdtempSync(join(tmpdir(), 'chart-'));
  try {
    cpSync(CHART, folder, { recursive: true });
    change(folder);
    return look(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A value for everything that can be said. */
export const EVERYTHING: Values = {
  global: { imageRegistry: 'mirror.example:5000/cache' },
  image: { repository: IMAGE, tag: '1.0.0', pullPolicy: 'Always' },
  relay: { image: { tag: '0.9.0' } },
  imagePullSecrets: ['pull'],
  fullnameOverride: 'mail-operator',
  nameOverride: 'mail',
  className: 'inside',
  defaultClass: false,
  openshift: true,
  replicas: 2,
  strategy: { type: 'Recreate' },
  serviceAccount: { name: 'mail-sa', annotations: { 'example.com/role': 'mail' } },
  networkPolicy: {
    egress: {
      apiServerPorts: [6443],
      extra: [{ to: [{ ipBlock: { cidr: '192.0.2.0/24' } }], ports: [{ protocol: 'TCP', port: 3128 }] }],
    },
  },
  podDisruptionBudget: { enabled: true },
  healthPort: 8181,
  metrics: {
    service: { annotations: { 'example.com/scrape': 'yes' } },
    serviceMonitor: { enabled: true, labels: { release: 'prometheus' }, interval: '30s' },
    podMonitor: { enabled: true, labels: { release: 'prometheus' } },
  },
  deploymentAnnotations: { 'example.com/owner': 'mail-team' },
  podAnnotations: { 'example.com/mesh': 'off' },
  podLabels: { team: 'mail' },
  commonLabels: { cost: 'mail' },
  priorityClassName: 'system-cluster-critical',
  nodeSelector: { pool: 'system' },
  tolerations: [{ key: 'pool', operator: 'Exists' }],
  topologySpreadConstraints: [
    { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway', labelSelector: {} },
  ],
  extraArgs: ['--rolling-relays=2'],
  extraEnv: [{ name: 'HTTPS_PROXY', value: 'http://proxy.example:3128' }],
  extraVolumes: [{ name: 'ca', configMap: { name: 'house-ca' } }],
  extraVolumeMounts: [{ name: 'ca', mountPath: '/etc/ca' }],
  extraObjects: [
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "{{ .Release.Name }}-text"}',
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: '{{ .Release.Name }}-map' } },
  ],
};
