/** The text that `mailrelay run` prints for people at the start and at changes. Pure. */
import { BlockList } from 'node:net';
import type { MailRelaySpec } from '#crds/mailrelay.ts';
import { addNetwork, listCovers, printEndpoint } from '#crds/networks.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import { hashContent, type Policy } from '#crds/policyfile.ts';
import { summarizePolicy } from '#crds/policysummary.ts';
import { POLICY_PORT_NAME, SIDECAR_SERVER, servedPort } from '#crds/wellknown.ts';
import { describeClientPolicy, describeListener, describeNextHops } from './policytext.ts';
import { chooseTls } from './sendwords.ts';
import { describeSink } from './sinktext.ts';
import { quoteWord } from './terminal.ts';

/** The sink beside a relay serves this machine alone. */
export const SINK_ADDRESS = '127.0.0.1';

/** What is known of the running relay. */
export interface RunFacts {
  readonly policy: Policy;
  readonly caFile: string | undefined;
  readonly address: string;
  readonly adminPort: number;
  readonly status: PodStatus;
  /** What the manifest asks for and only a cluster has. */
  readonly notStarted: readonly string[];
  /** What a person pastes to call this program from any folder. */
  readonly command: string;
  /** The next hop that --sink started. */
  readonly sink: { readonly port: number; readonly folder: string } | undefined;
}

/** The resolver beside the relay is a container. The relay asks at its address all the same. */
export function listNotStarted({ outbound }: MailRelaySpec): string[] {
  const { address, port } = SIDECAR_SERVER;
  return outbound?.resolver?.sidecar
    ? [
        `outbound.resolver.sidecar runs in pods only, and mail by MX waits: start a validating resolver at ${address}:${port}, or set outbound.resolver.addresses`,
      ]
    : [];
}

export function describeStart(start: RunFacts): string {
  const { policy, caFile, address, adminPort, status, notStarted } = start;
  const words = listSendWords(start);
  const { listeners, clientPolicies, clientPolicyCount, outbound } = summarizePolicy(policy);
  const more = clientPolicyCount - clientPolicies.length;
  const lines = [
    `MailRelay ${policy.namespace}/${policy.name} is ${status.ready ? 'ready' : `not ready: ${status.notReady.join('; ')}`}`,
    '',
    ...listeners.map((listener) =>
      row(listener.name, printEndpoint(address, servedPort(listener.port)), describeListener(listener)),
    ),
    ...policyHostLines(start),
    ...clientPolicies.map((one) => row('clients of', one.networks.join(', '), describeClientPolicy(one))),
    ...(more > 0 ? [row('', `and ${more} more client policies`, '')] : []),
    row('health', `http://${printEndpoint(address, adminPort)}/readyz`, '/status /metrics'),
    '',
    row('policy', hashContent(policy), `outbound ${outbound.tlsLevel}, ${describeNextHops(outbound)}`),
    ...certificateLines(status, caFile),
    ...status.notInForce.map((gap) => `  not in force yet: ${gap}`),
    ...notStarted.map((gap) => `  not started: ${gap}`),
    ...missingLines(status),
    ...(words ? ['', 'Send a message through it:', '', `  ${words.join(' ')}`] : []),
    ...sinkLines(start),
    '',
  ];
  return `${lines.join('\n')}\n`;
}

/** What a change of the manifest led to. What is missing is told as at the start. */
export function describeApplied(status: Pick<PodStatus, 'policy' | 'missing'>): string {
  return [`Manifest applied: ${status.policy.hash}`, ...missingLines(status)].join('\n');
}

const missingLines = ({ missing }: Pick<PodStatus, 'missing'>) => missing.map((gap) => `  missing: ${gap}`);

/** One line for an event of the supervisor; undefined if the event is of no interest to a person. */
export function describeChange(event: string, fields: Readonly<Record<string, unknown>>): string | undefined {
  switch (event) {
    case 'policy_changed':
      return `Policy ${fields['hash']} in force: listener ${fields['listener']}, router ${fields['router']}`;
    case 'policy_refused':
      return `Policy refused, the one before stays in force: ${fields['message']}`;
    case 'certificate_replaced':
      return `Certificate ${fields['serial']} in service until ${fields['notAfter']}`;
    case 'certificate_not_taken':
      return `Certificate for ${fields['names']} has a fault: ${fields['message']}`;
    case 'task_died':
      return `The ${fields['died']} task died and is started again`;
    case 'stopping':
      return `Stopping: ${fields['sessions']} sessions are open`;
    default:
      return undefined;
  }
}

function row(name: string, first: string, rest: string): string {
  return `  ${name.padEnd(14)} ${first.padEnd(24)} ${rest}`.trimEnd();
}

/** The first of the names; the others have the same path. */
function policyHostLines({ policy: { policyHost }, address }: RunFacts): string[] {
  if (!policyHost) return [];
  const url = `https://${policyHost.hosts[0]}/.well-known/mta-sts.txt`;
  return [row(POLICY_PORT_NAME, printEndpoint(address, servedPort(policyHost.port)), url)];
}

function sinkLines({ sink, policy }: RunFacts): string[] {
  if (!sink) return [];
  return [
    '',
    describeSink(SINK_ADDRESS, sink.port, 'starttls', sink.folder).trimEnd(),
    ...idleSinkWords(policy, sink.port),
  ];
}

/** A sink gets mail only where the MailRelay says so. */
export function idleSinkWords({ outbound: { routes, smartHosts } }: Policy, port: number): string[] {
  const hops = [...routes.flatMap(({ hosts }) => hosts ?? []), ...smartHosts];
  if (hops.some((hop) => hop.port === port && [SINK_ADDRESS, 'localhost'].includes(hop.host))) return [];
  return [`No mail goes to it: no next hop is {host: ${SINK_ADDRESS}, port: ${port}}`];
}

function certificateLines(
  { certificate, certificateProblem, sniCertificates = [] }: PodStatus,
  caFile: string | undefined,
): string[] {
  if (!certificate) return [];
  return [
    row(
      'certificate',
      certificate.names.join(', '),
      `until ${certificate.notAfter}, serial ${certificate.serial}`,
    ),
    ...(caFile ? [`  throw-away local CA: ${caFile}`] : []),
    ...(certificateProblem ? [`  ${certificateProblem.message}`] : []),
    ...sniCertificates.flatMap(({ names, certificate: served, problem }) => [
      row('by name', names.join(', '), served ? `until ${served.notAfter}, serial ${served.serial}` : 'none'),
      ...(problem ? [`  ${problem.message}`] : []),
    ]),
  ];
}

/**
 * The words of a `mailrelay send` command that can be pasted: to a listener that takes mail from this machine, with
 * verified TLS if any. Undefined if there is no such listener.
 */
export function listSendWords({ policy, address, caFile, command }: RunFacts): string[] | undefined {
  const { inbound, hostname } = policy;
  const listener = inbound.listeners.find(
    ({ auth, clients }) =>
      auth !== 'Required' && (inbound.acceptDomains.length > 0 || covers(clients.networks, address)),
  );
  if (!listener) return undefined;
  const tls = chooseTls(listener);
  const words = [
    ...['send', '--server', printEndpoint(address, servedPort(listener.port)), '--tls', tls],
    ...(tls === 'none' ? [] : ['--server-name', hostname]),
    ...(tls === 'none' || caFile === undefined ? [] : ['--ca', caFile]),
    ...['--from', `me@${hostname}`, '--to', `postmaster@${inbound.acceptDomains[0] ?? 'example.com'}`],
  ];
  return [command, ...words.map(quoteWord)];
}

function covers(networks: readonly string[], address: string): boolean {
  const list = new BlockList();
  for (const network of networks) addNetwork(network, list);
  return listCovers(list, address);
}
