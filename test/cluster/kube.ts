/**
 * What the cluster tests do as users: kubectl and helm against the cluster that run.ts prepared, and a few questions.
 * The tests run inside the cluster's network namespace, so pods and Services are reached directly.
 */
import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import type { DnsRecord } from '#crds/dnsrecords.ts';
import { type PodStatus, parsePodStatus } from '#crds/podstatus.ts';
import { ADMIN_PORT } from '#crds/wellknown.ts';
import { Client } from '#operator/kube/client.ts';
import { apiPath, MAIL_RELAY } from '#operator/kube/kinds.ts';
import { loadConfig } from '#operator/kube/kubeconfig.ts';
import { until } from '#test/kit/wait.ts';
import { AuditLog } from './audit.ts';
import { command } from './supervise.ts';

/** Written by run.ts into the environment of the tests. */
export interface Prepared {
  readonly kubeconfig: string;
  readonly kubectl: string;
  readonly helm: string;
  readonly image: { readonly repository: string; readonly tag: string };
  /** Tag of an older version; empty on a cluster that was given. */
  readonly olderTag: string;
  /** Empty on a cluster that was given. */
  readonly auditLog: string;
  /** The socket of containerd, which takes images; empty on a cluster that was given. */
  readonly containerd: string;
  /** An address of this machine that pods reach. */
  readonly nodeAddress: string;
}

export const OPERATOR_NAMESPACE = 'mailrelay-system';
export const CHART = new URL('../../charts/mailrelay-operator', import.meta.url).pathname;

export function prepared(): Prepared {
  const text = process.env['MAILRELAY_CLUSTER'];
  if (!text) throw new Error('Run the cluster tests by "make test": they need a cluster');
  return JSON.parse(text) as Prepared;
}

let shared: Client | undefined;

/** For many requests in a row, where a process for each would cost more than the request. */
export function client(): Client {
  shared ??= new Client(loadConfig(prepared().kubeconfig), () => undefined);
  return shared;
}

export function kubectl(args: readonly string[], input?: string): string {
  const { kubectl: program, kubeconfig } = prepared();
  return command(program, ['--kubeconfig', kubeconfig, ...args], input).trim();
}

export function helm(args: readonly string[]): string {
  const { helm: program, kubeconfig } = prepared();
  return command(program, ['--kubeconfig', kubeconfig, ...args]).trim();
}

export function apply(manifest: string): void {
  kubectl(['apply', '-f', '-'], manifest);
}

/**
 * Installs or upgrades the operator as a user would, and waits for it. Where the story before has installed the same, it
 * only waits.
 */
export function installOperator(...settings: string[]): void {
  const { image } = prepared();
  const values = [`image.repository=${image.repository}`, `image.tag=${image.tag}`, ...settings];
  const description = describeInstallation(values);
  if (lastInstallation() === description) {
    const deployment = ['deployment/mailrelay', '-n', OPERATOR_NAMESPACE];
    kubectl(['rollout', 'status', ...deployment, '--timeout=120s']);
    return;
  }
  helm([
    ...['upgrade', '--install', 'mailrelay', CHART, '--namespace', OPERATOR_NAMESPACE, '--create-namespace'],
    ...values.flatMap((value) => ['--set', value]),
    ...['--description', description, '--wait', '--timeout', '120s'],
  ]);
}

/** The same for the same values and the same chart. */
function describeInstallation(values: readonly string[]): string {
  const hash = createHash('sha256').update(JSON.stringify(values));
  for (const file of globSync(`${CHART}/**/*.*`).toSorted()) hash.update(file).update(readFileSync(file));
  return hash.digest('hex');
}

/** How the last release was described that was deployed; undefined if there is none, or if it failed. */
function lastInstallation(): string | undefined {
  try {
    const history = helm(['history', 'mailrelay', '--namespace', OPERATOR_NAMESPACE, '-o', 'json']);
    const [last] = (JSON.parse(history) as { status: string; description: string }[]).toReversed();
    return last?.status === 'deployed' ? last.description : undefined;
  } catch {
    return undefined;
  }
}

/** A restricted namespace, and an issuer whose CA the test can trust. */
export function makeNamespace(name: string): void {
  apply(`
apiVersion: v1
kind: Namespace
metadata: {name: ${name}, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: self, namespace: ${name}}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: ca, namespace: ${name}}
spec: {isCA: true, commonName: test CA, secretName: ca, issuerRef: {name: self}, privateKey: {algorithm: ECDSA, size: 256}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: ca, namespace: ${name}}
spec: {ca: {secretName: ca}}
`);
  kubectl(['wait', '--for=condition=Ready', 'certificate/ca', '-n', name, '--timeout=120s']);
}

export function secretText(namespace: string, name: string, key: string): string {
  const encoded = kubectl([
    'get',
    'secret',
    name,
    '-n',
    namespace,
    '-o',
    `jsonpath={.data.${key.replaceAll('.', '\\.')}}`,
  ]);
  return Buffer.from(encoded, 'base64').toString();
}

export function get<T>(kind: string, name: string, namespace: string): T {
  return JSON.parse(kubectl(['get', kind, name, '-n', namespace, '-o', 'json'])) as T;
}

export interface RelayObject {
  readonly metadata: { readonly generation: number; readonly resourceVersion: string };
  readonly status: {
    readonly conditions: {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
      readonly message: string;
      readonly observedGeneration?: number;
    }[];
    readonly certificate?: {
      readonly serial: string;
      readonly notAfter: string;
      readonly podsServing: number;
    };
    readonly internalCertificate?: { readonly serial: string };
    readonly policy: { readonly hash: string; readonly podsServing: number; readonly oldSessions: number };
    readonly queue?: { readonly depth: number };
    readonly notInForce?: string[];
    readonly clientPolicies?: string[];
    readonly plaintextClients?: number;
    readonly dnsRecords?: readonly DnsRecord[];
  };
}

export function relayOf(namespace: string, name = 'relay'): RelayObject {
  return get<RelayObject>('mailrelay', name, namespace);
}

export function conditionOf(relay: RelayObject, type: string) {
  return relay.status.conditions.find((condition) => condition.type === type);
}

export function waitReady(namespace: string, name = 'relay'): void {
  kubectl(['wait', '--for=condition=Ready', `mailrelay/${name}`, '-n', namespace, '--timeout=300s']);
}

interface PodList {
  readonly items: {
    readonly metadata: { name: string; uid: string };
    readonly status: { podIP?: string; containerStatuses?: { restartCount: number }[] };
  }[];
}

export interface RelayPod {
  readonly name: string;
  readonly uid: string;
  readonly ip: string;
  readonly restarts: number;
}

/** The relay's pods, by name. */
export function podsOf(namespace: string, name = 'relay'): RelayPod[] {
  const list = JSON.parse(
    kubectl(['get', 'pods', '-n', namespace, '-l', `app.kubernetes.io/instance=${name}`, '-o', 'json']),
  ) as PodList;
  return list.items.map(({ metadata, status }) => ({
    name: metadata.name,
    uid: metadata.uid,
    ip: status.podIP ?? '',
    restarts: status.containerStatuses?.[0]?.restartCount ?? 0,
  }));
}

export async function podStatus(ip: string): Promise<PodStatus> {
  const response = await fetch(`http://${ip}:${ADMIN_PORT}/status`);
  const status = parsePodStatus(await response.text());
  if (!status) throw new Error(`The pod at ${ip} gave no status that can be read`);
  return status;
}

/** Tries all mail of the pod now. */
export function retryAll(namespace: string, pod: string): void {
  kubectl(['exec', pod, '-n', namespace, '-c', 'relay', '--', 'mailrelay', 'queue', 'retry', '--all']);
}

/** Asks cert-manager for a new issue, as `cmctl renew` does. */
export function renew(namespace: string, name: string): void {
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const condition = {
    type: 'Issuing',
    status: 'True',
    reason: 'ManuallyTriggered',
    message: 'asked for by a test',
    lastTransitionTime: now,
  };
  const certificate = get<{ status: { conditions: { type: string }[] } }>('certificate', name, namespace);
  const conditions = [...certificate.status.conditions.filter(({ type }) => type !== 'Issuing'), condition];
  kubectl([
    'patch',
    'certificate',
    name,
    '-n',
    namespace,
    '--subresource=status',
    '--type=merge',
    '-p',
    JSON.stringify({ status: { conditions } }),
  ]);
}

export function serviceAddress(namespace: string, name = 'relay'): string {
  return kubectl(['get', 'service', name, '-n', namespace, '-o', 'jsonpath={.spec.clusterIP}']);
}

export function eventsOf(namespace: string, reason: string): string[] {
  const text = kubectl([
    'get',
    'events.events.k8s.io',
    '-n',
    namespace,
    '-o',
    `jsonpath={range .items[?(@.reason=="${reason}")]}{.note}{"\\n"}{end}`,
  ]);
  return text.split('\n').filter(Boolean);
}

let operatorCalls: AuditLog | undefined;

/** Writes of the operator since `since` (milliseconds), by the API server's own record; its Lease is not counted. */
export function operatorWrites(since: number): string[] {
  operatorCalls ??= new AuditLog(
    prepared().auditLog,
    `system:serviceaccount:${OPERATOR_NAMESPACE}:mailrelay`,
  );
  return operatorCalls
    .calls(since)
    .filter(({ kind, resource }) => kind === 'write' && resource !== 'leases')
    .map(({ verb, uri }) => `${verb} ${uri}`);
}

/** Resolves when the relay's status says what `holds` asks for. */
export function statusUntil(
  what: string,
  namespace: string,
  holds: (relay: RelayObject) => boolean,
  withinMs = 60_000,
) {
  const path = apiPath(MAIL_RELAY, namespace, 'relay');
  return until(
    what,
    async () => {
      const relay = await client().request<RelayObject>({ method: 'GET', path });
      return holds(relay) ? relay : undefined;
    },
    withinMs,
  );
}
