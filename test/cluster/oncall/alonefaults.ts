/** Faults that every relay feels, or that other faults would hide: one after the other. */
import { readdirSync, readFileSync } from 'node:fs';
import { CHART, helm, OPERATOR_NAMESPACE, prepared } from '../kube.ts';
import type { Fault } from './fault.ts';
import { kubectl, type Site, TLS_INBOUND } from './site.ts';

/** cert-manager is a process of the cluster's machine. */
function signalCertManager({ dir }: Site, signal: NodeJS.Signals): void {
  const argument = `-kubeconfig=${dir}/cert-manager.kubeconfig`;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (commandLine(pid).includes(argument)) process.kill(Number(pid), signal);
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

const deployment = ['deploy/mailrelay', '-n', OPERATOR_NAMESPACE];
const SECOND = 'second';
let rights = '';

export const ALONE_FAULTS: readonly Fault[] = [
  {
    name: 'cert-manager-away',
    what: 'cert-manager does not run',
    spec: {
      tls: { issuerRef: { name: 'ca' } },
      inbound: TLS_INBOUND,
    },
    prepare: (site) => signalCertManager(site, 'SIGSTOP'),
    heal: (site) => signalCertManager(site, 'SIGCONT'),
    row: /\/1 +\w+ +Ready.*CertificateReady/,
    command: 'wide',
    shows: /nobody has looked at the Certificate yet: see whether cert-manager runs/,
  },
  {
    name: 'two-operators',
    what: 'Two operators could look after a relay',
    plant: async (site) => {
      const { image } = prepared();
      const settings = [
        `image.repository=${image.repository}`,
        `image.tag=${image.tag}`,
        'crds.enabled=false',
      ];
      helm([
        ...['install', SECOND, CHART, '--namespace', SECOND, '--create-namespace', '--wait'],
        ...settings.flatMap((setting) => ['--set', setting]),
      ]);
      await site.edit({ trace: { level: 1 } });
    },
    heal: async () => {
      helm(['uninstall', SECOND, '--namespace', SECOND]);
      await kubectl(['delete', 'namespace', SECOND, '--wait=false']);
    },
    row: /1\/1 +Serving/,
    command: 'describe',
    shows: /OtherInstallation.*/,
  },
  {
    name: 'operator-away',
    what: 'The operator is away, and edits wait',
    plant: async (site) => {
      await kubectl(['scale', ...deployment, '--replicas=0']);
      await kubectl(['wait', 'pod', '--all', '--for=delete', '-n', OPERATOR_NAMESPACE, '--timeout=60s']);
      await site.edit({ trace: { level: 1 } });
    },
    heal: async () => {
      await kubectl(['scale', ...deployment, '--replicas=1']);
      await kubectl(['rollout', 'status', ...deployment, '--timeout=120s']);
    },
    row: /1\/1 +Serving/,
    command: 'wide',
    shows: /operator-away .* 2 +1 /,
    means: 'OBSERVED stays behind GENERATION: see whether the operator runs.',
  },
  {
    name: 'no-rights',
    what: 'The operator may not write',
    plant: async (site) => {
      rights = await kubectl(['get', 'clusterrole', 'mailrelay', '-o', 'json']);
      const role = JSON.parse(rights) as { rules: { resources: string[] }[] };
      const rules = role.rules.filter(({ resources }) => !resources.includes('mailrelays/status'));
      await kubectl(['patch', 'clusterrole', 'mailrelay', '--type=merge', '-p', JSON.stringify({ rules })]);
      await site.edit({ trace: { level: 1 } });
    },
    heal: () => {
      const { rules } = JSON.parse(rights) as { rules: unknown };
      return kubectl(['patch', 'clusterrole', 'mailrelay', '--type=merge', '-p', JSON.stringify({ rules })]);
    },
    row: /1\/1 +Serving/,
    command: 'operator',
    shows: /"reconcile_failed".*forbidden.*mailrelays\/status.*restore the roles of the operator/,
  },
];
