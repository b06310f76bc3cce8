/** What the commands of the pages find: files of a reader, a next hop that puts mail off, clients, waiting mail, other software. */
import { parseAllDocuments, stringify } from 'yaml';
import { chooseRunner, listCommands, readPages } from '#test/arch/pages.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import {
  apply,
  conditionOf,
  helm,
  kubectl,
  OPERATOR_NAMESPACE,
  podsOf,
  prepared,
  serviceAddress,
  statusUntil,
} from '../kube.ts';
import { REGISTRY, type Reader } from './reader.ts';

export const NAMESPACE = 'mail';
const PARTNER = { domain: 'partner.example', port: 2530 };

/** Named by the page on STARTTLS; cert-manager has made one of that name for the first relay. */
const TLS_SECRET = 'relay-tls';

export const COMMANDS = listCommands(readPages()).filter((command) => chooseRunner(command) === 'cluster');

/** A next hop that takes no mail yet, so that mail waits. */
export function startPartner(): Promise<Sink> {
  return Sink.start({ port: PARTNER.port, host: prepared().nodeAddress, refuse: () => 451 });
}

/** What the pages say that a reader has. */
export function writeFiles(reader: Reader): void {
  reader.write('relay.yaml', renderManifest(readFirstRelay()));
  for (const name of ['private.key', 'key.json']) reader.write(name, '{}\n');
}

function renderManifest(relay: object): string {
  return stringify(relay, { defaultStringType: 'QUOTE_DOUBLE' });
}

/** The first relay of the README. */
function readFirstRelay() {
  const text = COMMANDS.find(({ text }) => text.startsWith('kubectl apply -f - <<'))?.text ?? '';
  const body = text.replace(/^.*\n/, '').replace(/\n\w+$/, '');
  return parseAllDocuments(body)
    .map((document) => document.toJS())
    .find(({ kind }) => kind === 'MailRelay');
}

/** It gets a certificate of a third party, and what other pages add to it. */
export function editManifest(reader: Reader): void {
  const relay = readFirstRelay();
  relay.spec.tls = { secretName: TLS_SECRET };
  relay.spec.trace = { level: 3, until: '2990-01-01T00:00:00Z' };
  relay.spec.dns = { tlsa: true };
  const hosts = [{ host: prepared().nodeAddress, port: PARTNER.port }];
  relay.spec.outbound.routes.push({ recipientDomains: [PARTNER.domain], hosts });
  reader.write('relay.yaml', renderManifest(relay));
}

/** The reader of that page has no relay yet, and no Secret: nobody makes one meanwhile. */
export function removeCertificate(): void {
  kubectl(['annotate', 'mr', 'relay', '-n', NAMESPACE, 'mailrelay.dev/paused=true']);
  kubectl(['delete', 'certificate/relay', `secret/${TLS_SECRET}`, '-n', NAMESPACE]);
}

export async function untilApplied(): Promise<void> {
  kubectl(['annotate', 'mr', 'relay', '-n', NAMESPACE, 'mailrelay.dev/paused-']);
  await statusUntil('the policy in force', NAMESPACE, (relay) => {
    const applied = conditionOf(relay, 'PolicyApplied');
    return applied?.status === 'True' && applied.observedGeneration === relay.metadata.generation;
  });
}

/** The Service is kube-proxy's: it may take a moment to learn of the pods. */
export async function untilReached(): Promise<void> {
  const client = await until('the Service to reach a pod', () =>
    SmtpClient.connect(25, serviceAddress(NAMESPACE)),
  );
  await client.hello();
  await client.quit();
}

export async function refuseOne(): Promise<void> {
  const client = await connect();
  await client.command('MAIL FROM:<app@example.com> NONSENSE=1');
  await client.quit();
}

/** A message that waits, and is not tried for some minutes. */
export async function queueOne(): Promise<string> {
  const client = await connect();
  const reply = await client.send('app@example.com', [`joe@${PARTNER.domain}`], messageText('pages'));
  await client.quit();
  const [, id = ''] = /queued as (\w+)/.exec(reply) ?? [];
  await until('its first attempt', () => queue('show', id).includes(', again in '), 30_000);
  return id;
}

export async function holdOne(reader: Reader): Promise<void> {
  const id = await queueOne();
  queue('hold', id);
  reader.fill('ID', id);
}

function queue(...words: string[]): string {
  return kubectl(['exec', '-n', NAMESPACE, 'relay-0', '--', 'mailrelay', 'queue', ...words]);
}

async function connect(): Promise<SmtpClient> {
  const pod = podsOf(NAMESPACE).find(({ name }) => name === 'relay-0');
  const client = await SmtpClient.connect(10_025, pod?.ip);
  await client.hello();
  return client;
}

export function uninstall(): void {
  helm(['uninstall', 'mailrelay', '--namespace', OPERATOR_NAMESPACE, '--ignore-not-found', '--wait']);
}

/** The CRD stays where relays are, because they would go with it. */
export async function removeKustomization(reader: Reader): Promise<void> {
  kubectl(['rollout', 'status', 'deployment/mailrelay', '-n', OPERATOR_NAMESPACE, '--timeout=120s']);
  const { output } = await reader.run('kubectl kustomize deploy/kustomize/overlays/example');
  const hasRelays = kubectl(['get', 'mr', '-A', '-o', 'name']) !== '';
  const objects = parseAllDocuments(output)
    .map((document) => document.toJS())
    .filter(({ kind }) => kind !== 'CustomResourceDefinition' || !hasRelays);
  kubectl(['delete', '-f', '-'], objects.map((object) => stringify(object)).join('---\n'));
}

/** Stands for that of the Prometheus operator. */
const RULES_CRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: prometheusrules.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: PrometheusRule, plural: prometheusrules}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`;

export async function installPrometheusRules(): Promise<void> {
  apply(RULES_CRD);
  const listed = ['get', 'prometheusrules.monitoring.coreos.com', '-n', OPERATOR_NAMESPACE, '-o', 'name'];
  await until('the kind PrometheusRule', () => kubectl(listed) === '', 30_000);
}

export function removePrometheusRules(): void {
  kubectl(['delete', '-f', '-', '--ignore-not-found'], RULES_CRD);
}

/** The tags that the operator has, and that it gives to relays. */
export function untilTags(operator: string, relay: string): Promise<boolean> {
  const tagOf = (object: string, namespace: string) =>
    kubectl(['get', object, '-n', namespace, '-o', 'jsonpath={.spec.template.spec.containers[0].image}']);
  const wanted = [operator, relay].map((tag) => `${REGISTRY}/mailrelay:${tag}`).join();
  return until(
    `the images ${wanted}`,
    () =>
      [tagOf('deployment/mailrelay', OPERATOR_NAMESPACE), tagOf('statefulset/relay', NAMESPACE)].join() ===
      wanted,
    60_000,
  );
}

export async function countPods(count: number): Promise<void> {
  await until(`${count} pods`, () => podsOf(NAMESPACE).length === count, 60_000);
}
