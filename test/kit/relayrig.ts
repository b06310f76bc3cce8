/**
 * Helpers for the tests of relay/: they make policies with few words, and folders as a pod has them. Only tests use
 * them.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AddressMap } from '#crds/addresspolicy.ts';
import type { Clients, Hop, Listener, Policy } from '#crds/policyfile.ts';
import type { Parcel } from '#relay/delivery/courier.ts';
import { type CompiledSteps, compileSteps } from '#relay/headers/compile.ts';
import { compileMaps } from '#relay/headers/maps.ts';
import type { Trace } from '#relay/headers/received.ts';
import type { Materials } from '#relay/task/materials.ts';

export const HOSTNAME = 'relay.example.com';

export function listenerAt(port: number, changes: Partial<Listener> = {}): Listener {
  return {
    name: 'smtp',
    port,
    starttls: 'Enabled',
    implicitTLS: false,
    lineEndings: 'Strict',
    auth: 'Disabled',
    proxyNetworks: [],
    clients: clientsOf(),
    filter: null,
    ...changes,
  };
}

/** The clients that may relay: this machine, unless `changes` has others. */
export function clientsOf(changes: Partial<Clients> = {}): Clients {
  return {
    networks: ['127.0.0.0/8'],
    usersSecret: null,
    certificates: null,
    oauth: null,
    senderLogins: [],
    senderDomains: null,
    recipientDomains: null,
    ...changes,
  };
}

export function hopTo(port: number, changes: Partial<Hop> = {}): Hop {
  return {
    host: '127.0.0.1',
    port,
    protocol: 'SMTP',
    implicitTLS: false,
    tlsLevel: 'Opportunistic',
    minTlsVersion: 'TLSv1.2',
    serverName: null,
    trustConfigMap: null,
    clientCertificateSecret: null,
    credentialsSecret: null,
    priority: 0,
    weight: null,
    ipFamily: 'Any',
    sourceAddresses: [],
    socksProxy: null,
    proxyProtocol: null,
    ...changes,
  };
}

/** A message of plain ASCII from a local sender to one recipient, in one piece. */
export function makeParcel(text: string, changes: Partial<Parcel> = {}): Parcel {
  return {
    from: 'me@example.com',
    to: ['you@example.net'],
    bytes: text.length,
    eightBit: false,
    smtpUtf8: false,
    requireTls: false,
    saysTlsNotRequired: async () => false,
    dsn: { ret: null, envid: null, recipients: [] },
    beyondAscii: async () => ({ header: false, body: false }),
    body: () => Buffer.from(text),
    ...changes,
  };
}

type Routed = Policy['outbound']['routes'][number];

export function routeTo(
  recipientDomains: readonly string[],
  hosts: readonly Hop[],
  changes: Partial<Routed> = {},
): Routed {
  const floor = {
    senders: null,
    tlsLevel: 'Opportunistic' as const,
    minTlsVersion: 'TLSv1.2' as const,
    sourceAddresses: [],
    socksProxy: null,
    limits: null,
    retry: null,
  };
  return { recipientDomains: [...recipientDomains], hosts: [...hosts], ...floor, ...changes };
}

const LIMITS: Policy['inbound']['limits'] = {
  messageBytes: 1_000_000,
  recipients: 100,
  connections: 10_000,
  connectionsPerClient: null,
  messagesPerClientPerMinute: null,
  messagesPerLoginPerMinute: null,
  errorsPerSession: 50,
  idleSeconds: 300,
  messageSeconds: 1_800,
};

const OUTBOUND: Policy['outbound'] = {
  tlsLevel: 'Opportunistic',
  minTlsVersion: 'TLSv1.2',
  discover: [],
  resolver: null,
  tlsReports: null,
  trustConfigMap: null,
  clientCertificateSecret: null,
  ipFamily: 'Any',
  sourceAddresses: [],
  socksProxy: null,
  smartHosts: [],
  routes: [],
  dkim: [],
  limits: {
    connectionsPerDestination: 20,
    messagesPerConnection: 100,
    messagesPerDestinationPerMinute: null,
  },
  providers: [],
};

export function policyOf(
  inbound: Partial<Policy['inbound']> = {},
  outbound: Partial<Policy['outbound']> = {},
  changes: Partial<Policy> = {},
): Policy {
  return {
    format: 1,
    name: 'relay',
    namespace: 'mail',
    hostname: HOSTNAME,
    inbound: {
      minTlsVersion: 'TLSv1.2',
      internalTls: null,
      sniCertificates: [],
      listeners: [],
      clientPolicies: [],
      acceptDomains: [],
      masqueradeDomains: [],
      alwaysBcc: null,
      tlsReports: null,
      filter: null,
      authenticationResults: null,
      limits: LIMITS,
      ...inbound,
    },
    outbound: { ...OUTBOUND, ...outbound },
    policyHost: null,
    addresses: addressesOf(),
    headers: { remove: [], received: 'Full', add: [] },
    queue: {
      mode: 'Durable',
      expireAfterSeconds: 5 * 86_400,
      delayWarningSeconds: null,
      maxMessages: null,
      maxBytes: null,
      historySeconds: null,
      suppression: null,
    },
    events: null,
    logging: { level: 'info', addresses: 'Full' },
    trace: { level: 0, networks: null, recipientDomains: null, until: null },
    ...changes,
  };
}

const NO_MAP: AddressMap = { entries: [], tables: [] };

export function addressesOf(changes: Partial<Policy['addresses']> = {}): Policy['addresses'] {
  return {
    sender: { map: NO_MAP, parts: ['Envelope', 'From', 'Sender', 'ReplyTo'], mail: 'Submitted' },
    recipient: { map: NO_MAP, parts: ['Envelope'], headersOf: 'Submitted' },
    sendAllTo: null,
    srs: null,
    senderBcc: NO_MAP,
    recipientBcc: NO_MAP,
    ...changes,
  };
}

/** The facts of a message that came in clear from this machine. */
export function traceOf(changes: Partial<Trace> = {}): Trace {
  return {
    helo: 'client.example',
    client: '127.0.0.1',
    hostname: HOSTNAME,
    queueId: '1k86ld9njg720qjr',
    esmtp: true,
    smtpUtf8: false,
    tls: null,
    authenticated: false,
    recipients: [],
    at: new Date('2026-11-24T11:22:33Z'),
    ...changes,
  };
}

export function compiledOf(policy: Policy, isSubmitted: boolean): CompiledSteps {
  return compileSteps(policy, compileMaps(policy))(isSubmitted);
}

/** Materials with one trust bundle, as a ConfigMap of this name. */
export function trusting(name: string, pem: string): Materials {
  return { secrets: {}, configMaps: { [name]: pem === '' ? {} : { 'ca.crt': pem } } };
}

export interface PodDirs {
  readonly root: string;
  readonly policyDir: string;
  readonly certificateDir: string;
  readonly secretsDir: string;
  readonly configMapsDir: string;
  readonly stateDir: string;
  remove(): void;
}

export function podDirs(): PodDirs {
  const root = mkdtempSync(join(tmpdir(), 'mailrelay-'));
  const [policyDir = '', certificateDir = '', secretsDir = '', configMapsDir = '', stateDir = ''] = [
    'policy',
    'tls',
    'secrets',
    'configmaps',
    'state',
  ].map((name) => {
    mkdirSync(join(root, name));
    return join(root, name);
  });
  const remove = () => rmSync(root, { recursive: true, force: true });
  return { root, policyDir, certificateDir, secretsDir, configMapsDir, stateDir, remove };
}

let mounts = 0;

/** Writes files as a kubelet does: makes a new folder, then swaps the link `..data` to it. */
export function mount(dir: string, files: Readonly<Record<string, string>>): void {
  const folder = `..${++mounts}`;
  mkdirSync(join(dir, folder));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(dir, folder, name), text);
    rmSync(join(dir, name), { force: true });
    symlinkSync(join('..data', name), join(dir, name));
  }
  symlinkSync(folder, join(dir, '..data_new'));
  renameSync(join(dir, '..data_new'), join(dir, '..data'));
}
