/** Where one fault is planted: its relay and pod, kubectl, clients that send, and a next hop that does what it is told. */
import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { type Authority, makeAuthority } from '#test/kit/ca.ts';
import { Hop, type HopOptions } from '#test/kit/hop.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { OPERATOR_NAMESPACE, prepared } from '../kube.ts';
import { type Command, NAMESPACE } from './commands.ts';

const run = promisify(execFile);
const FIRST_PORT = 2600;
/** A name that leads to this machine. */
export const HOP_NAME = `hop.${NAMESPACE}.svc`;

/** The relay of a fault. */
export interface Terms {
  /** Also that of its MailRelay. */
  readonly name: string;
  /** What differs from a sound spec. */
  readonly spec?: Readonly<Record<string, unknown>>;
  /** The next hop of the relay, on a port of its own; `away`: nobody listens there. */
  readonly hop?: 'away' | ((site: Site) => Promise<Partial<HopOptions>>);
  /** Terms of the spec for that hop. */
  readonly smartHost?: Readonly<Record<string, unknown>>;
}

export interface Mail {
  readonly from?: string;
  readonly to?: string;
  readonly text?: string;
}

export async function kubectl(args: readonly string[], input?: string): Promise<string> {
  const { kubectl: program, kubeconfig } = prepared();
  const running = run(program, ['--kubeconfig', kubeconfig, ...args], { maxBuffer: 64 * 2 ** 20 });
  if (input !== undefined) running.child.stdin?.end(input);
  return (await running).stdout.trim();
}

export class Site {
  readonly name: string;
  readonly pod: string;
  readonly namespace: string = NAMESPACE;
  /** Of the cluster's files. */
  readonly dir = dirname(prepared().kubeconfig);
  readonly authority: Authority;
  readonly #port: number;
  readonly #terms: Terms;
  readonly #rules: string[][] = [];
  #hop: Hop | undefined;

  constructor(terms: Terms, index: number, authority: Authority) {
    this.name = terms.name;
    this.pod = `${terms.name}-0`;
    this.#port = FIRST_PORT + index;
    this.#terms = terms;
    this.authority = authority;
  }

  /** The MailRelay, sound but for the fault. */
  manifest(changes: Readonly<Record<string, unknown>> = {}): object {
    const { spec, hop, smartHost } = this.#terms;
    const smartHosts = [{ host: HOP_NAME, port: this.#port, ...smartHost }];
    return {
      apiVersion: 'mailrelay.dev/v1alpha1',
      kind: 'MailRelay',
      metadata: { name: this.name, namespace: this.namespace },
      spec: {
        hostname: 'relay.example.com',
        pod: { resources: { requests: { cpu: '50m' } } },
        inbound: INBOUND,
        outbound: { tls: { discover: [] }, ...(hop ? { smartHosts } : {}) },
        ...spec,
        ...changes,
      },
    };
  }

  /** kubectl in the namespace of the fault. */
  kubectl(...args: string[]): Promise<string> {
    return kubectl(['-n', this.namespace, ...args]);
  }

  apply(...objects: object[]): Promise<string> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    return kubectl(['apply', '-n', this.namespace, '-f', '-'], JSON.stringify(list));
  }

  /** As people do who are in a hurry: a field that nobody knows is dropped. */
  make(): Promise<string> {
    return kubectl(['apply', '--validate=false', '-f', '-'], JSON.stringify(this.manifest()));
  }

  edit(changes: Readonly<Record<string, unknown>>): Promise<string> {
    return this.apply(this.manifest(changes));
  }

  ready(): Promise<string> {
    return this.kubectl('wait', `mr/${this.name}`, '--for=condition=Ready', '--timeout=240s');
  }

  async podAddress(): Promise<string> {
    return this.kubectl('get', 'pod', this.pod, '-o', 'jsonpath={.status.podIP}');
  }

  /** Nothing gets through to a port any more, as by the rules of a network. */
  async cut(
    chain: 'FORWARD' | 'INPUT',
    protocol: 'udp' | 'tcp',
    port: number,
    end: '-s' | '-d',
  ): Promise<void> {
    const target = protocol === 'tcp' ? ['REJECT', '--reject-with', 'tcp-reset'] : ['DROP'];
    const rule = [
      chain,
      '-p',
      protocol,
      '--dport',
      String(port),
      end,
      await this.podAddress(),
      '-j',
      ...target,
    ];
    await run('iptables', ['-I', ...rule]);
    this.#rules.push(rule);
  }

  async startHop(): Promise<void> {
    const { hop } = this.#terms;
    if (hop === undefined || hop === 'away') return;
    this.#hop = await Hop.start({ port: this.#port, host: prepared().nodeAddress, ...(await hop(this)) });
  }

  async close(): Promise<void> {
    await this.#hop?.down();
    for (const rule of this.#rules.splice(0)) await run('iptables', ['-D', ...rule]);
  }

  /** The last reply; a client that is refused earlier gets no further. */
  async send({ from = 'a@client.example', to = 'b@example.com', text }: Mail = {}): Promise<string> {
    const address = await this.podAddress();
    const client = await until('the listener', () => SmtpClient.connect(10_025, address));
    try {
      await client.hello();
      return await client.send(from, [to], text ?? messageText(this.name)).catch(readRefusal);
    } finally {
      client.close();
    }
  }

  /** The output of a command, also where its exit status says that something is wrong. */
  async look(command: Command): Promise<string> {
    return this.#typed(command).catch(
      ({ stdout = '', stderr = '' }: { stdout?: string; stderr?: string }) => `${stdout}${stderr}`,
    );
  }

  #typed(command: Command): Promise<string> {
    switch (command) {
      case 'get':
        return this.kubectl('get', 'mr', this.name);
      case 'wide':
        return this.kubectl('get', 'mr', this.name, '-o', 'wide');
      case 'describe':
        return this.kubectl('describe', 'mr', this.name);
      case 'status':
        return this.kubectl('exec', this.pod, '--', 'mailrelay', 'status');
      case 'queue':
        return this.kubectl('exec', this.pod, '--', 'mailrelay', 'queue', 'list');
      case 'logs':
        return this.kubectl('logs', this.pod);
      case 'operator':
        return kubectl(['logs', 'deploy/mailrelay', '-n', OPERATOR_NAMESPACE]);
    }
  }
}

/** A refusal is what some faults are about; any other error is one of the test. */
function readRefusal(error: Error): string {
  if (/ was answered /.test(error.message)) return error.message;
  throw error;
}

/** No TLS where it is not the subject: a certificate would be one more thing to wait for. */
export const INBOUND = {
  starttls: 'Disabled',
  listeners: [{ name: 'smtp', port: 25 }],
  clients: { networks: ['10.0.0.0/8'] },
};

/** With a certificate, of whatever source. */
export const TLS_INBOUND = { ...INBOUND, starttls: 'Enabled' };

export const makeSecret = (name: string, data: Record<string, string>, type = 'Opaque') => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name },
  type,
  stringData: data,
});

export async function makeSites(faults: readonly Terms[]): Promise<Site[]> {
  const authority = await makeAuthority();
  return faults.map((terms, index) => new Site(terms, index, authority));
}
