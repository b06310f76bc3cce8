/**
 * What the tests of this room share: key pairs, folders as a pod has them, a client that speaks SMTP line by line, and a
 * next hop that keeps what it gets. Everything is on loopback. Used by tests only.
 */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import type { Clients, Hop, Listener, Policy } from '#crds/policyfile.ts';
import type { Materials } from '#relay/task/materials.ts';
import type { PairText } from '#relay/task/messages.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
export const HOSTNAME = 'relay.example.com';

/** A self-signed pair, which is its own authority. */
export async function makePair(name = HOSTNAME, days = 30): Promise<PairText> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - 40 * 86_400_000),
    notAfter: new Date(Date.now() + days * 86_400_000),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  });
  const der = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { cert: cert.toString('pem'), key: x509.PemConverter.encode(der, 'PRIVATE KEY') };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

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
    ...changes,
  };
}

/** Who may relay: this machine, unless `changes` says otherwise. */
export function clientsOf(changes: Partial<Clients> = {}): Clients {
  return {
    networks: ['127.0.0.0/8'],
    usersSecret: null,
    certificates: null,
    oauth: null,
    senderDomains: null,
    recipientDomains: null,
    ...changes,
  };
}

export function hopTo(port: number, changes: Partial<Hop> = {}): Hop {
  return {
    host: '127.0.0.1',
    port,
    implicitTLS: false,
    tlsLevel: 'Opportunistic',
    serverName: null,
    trustConfigMap: null,
    clientCertificateSecret: null,
    credentialsSecret: null,
    priority: 0,
    weight: null,
    ipFamily: 'Any',
    ...changes,
  };
}

type Routed = Policy['outbound']['routes'][number];

export function routeTo(
  recipientDomains: readonly string[],
  hosts: readonly Hop[],
  changes: Partial<Routed> = {},
): Routed {
  const floor = { senders: null, tlsLevel: 'Opportunistic' as const };
  return { recipientDomains: [...recipientDomains], hosts: [...hosts], ...floor, ...changes };
}

export function policyOf(
  inbound: Partial<Policy['inbound']> = {},
  outbound: Partial<Policy['outbound']> = {},
  changes: Partial<Policy> = {},
): Policy {
  const limits = {
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
  return {
    format: 1,
    name: 'relay',
    namespace: 'mail',
    hostname: HOSTNAME,
    inbound: {
      minTlsVersion: 'TLSv1.2',
      internalTls: null,
      listeners: [],
      clientPolicies: [],
      acceptDomains: [],
      masqueradeDomains: [],
      alwaysBcc: null,
      limits,
      ...inbound,
    },
    outbound: {
      tlsLevel: 'Opportunistic',
      discover: [],
      trustConfigMap: null,
      ipFamily: 'Any',
      smartHosts: [],
      routes: [],
      dkim: [],
      limits: {
        connectionsPerDestination: 20,
        messagesPerConnection: 100,
        messagesPerDestinationPerMinute: null,
      },
      ...outbound,
    },
    queue: {
      mode: 'Durable',
      expireAfterSeconds: 5 * 86_400,
      delayWarningSeconds: null,
      maxMessages: null,
      maxBytes: null,
    },
    trace: { level: 0, networks: null, recipientDomains: null, until: null },
    ...changes,
  };
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

/** Writes files as a kubelet does: a new folder, and the link `..data` swapped over to it. */
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

/** A client that says one line and reads one reply. */
export class Talker {
  readonly #raw: Socket;
  readonly #ended = Promise.withResolvers<void>();
  #socket: Socket;
  #text = '';
  #closed = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#raw = socket;
    this.#socket = socket;
    this.#listen(socket);
  }

  static to(port: number): Talker {
    return new Talker(connect(port, '127.0.0.1'));
  }

  static toTls(port: number): Talker {
    return new Talker(connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }));
  }

  /** The next whole reply; empty when the connection ended instead. */
  async reply(): Promise<string> {
    for (;;) {
      const [whole] = /^(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/.exec(this.#text) ?? [];
      if (whole !== undefined) {
        this.#text = this.#text.slice(whole.length);
        return whole;
      }
      if (this.#closed) return '';
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  write(bytes: string | Buffer): void {
    this.#socket.write(bytes);
  }

  /** Sends no more than this. */
  finish(bytes: string): void {
    this.#socket.end(bytes);
  }

  say(line: string | Buffer): Promise<string> {
    this.write(Buffer.concat([Buffer.from(line as string), Buffer.from('\r\n')]));
    return this.reply();
  }

  /** Says one line after the other; gives the code of each reply. */
  async codes(...lines: string[]): Promise<number[]> {
    const codes: number[] = [];
    for (const line of lines) codes.push(Number((await this.say(line)).slice(0, 3)));
    return codes;
  }

  /** The handshake that follows 220. Rejects when it fails. */
  async secure(): Promise<void> {
    this.#socket.removeAllListeners('data');
    const socket = connectTls({ socket: this.#socket, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    this.#socket = socket;
    this.#text = '';
    this.#listen(socket);
  }

  end(): void {
    this.#socket.destroy();
  }

  reset(): void {
    this.#raw.resetAndDestroy();
  }

  get closed(): Promise<void> {
    return this.#ended.promise;
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk) => {
      this.#text += chunk.toString('latin1');
      this.#wake();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#closed = true;
      this.#ended.resolve();
      this.#wake();
    });
  }
}

interface Arrived {
  readonly from: string;
  readonly to: readonly string[];
  readonly body: string;
  readonly secure: boolean;
}

export interface Sink {
  readonly port: number;
  readonly mail: Arrived[];
  /** Resolves when there are at least `count`. */
  until(count: number): Promise<void>;
  close(): void;
}

/** A next hop that takes everything, or what `options` let it take. */
export async function openSink(options: SMTPServerOptions = {}, port = 0): Promise<Sink> {
  const mail: Arrived[] = [];
  let wake: () => void = () => undefined;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: options.key ? ['AUTH'] : ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    logger: false,
    onData: (stream, { envelope, secure }, callback) => {
      buffer(stream).then((body) => {
        const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
        mail.push({ from, to: envelope.rcptTo.map(({ address }) => address), body: body.toString(), secure });
        callback(null, 'taken');
        wake();
      }, callback);
    },
    ...options,
  });
  server.on('error', () => undefined);
  const listening = server.listen(port, '127.0.0.1');
  await once(listening, 'listening');
  return {
    port: (listening.address() as AddressInfo).port,
    mail,
    until: async (count) => {
      while (mail.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    close: () => {
      server.close();
      for (const connection of server.connections) connection.close();
    },
  };
}

const PATIENCE_MS = 20_000;

/** Asks again and again until it holds; rejects, naming what was asked, when it does not within twenty seconds. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`Waited ${PATIENCE_MS} ms in vain for ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
