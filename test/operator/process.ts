/** A real operator process, as the image runs it, and what is visible from outside: log and health. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { record } from '#test/cluster/supervise.ts';
import { freePort } from '#test/kit/ports.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, SYSTEM } from './plane.ts';

/** Of the log, for an error message. */
const LAST_LINES = 5;
const COMMAND = new URL('../../cli/main.ts', import.meta.url).pathname;

export interface LogLine {
  readonly time: string;
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface OperatorOptions {
  readonly identity: string;
  /** The address of the API server, or of a proxy before it. */
  readonly server?: string;
  readonly args?: readonly string[];
  /** The address of the only name server that the process asks. */
  readonly nameServer?: string;
}

/** Runs a command that sees another resolv.conf, in the same process. */
const ASKING = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';

function withNameServer(dir: string, address: string): string[] {
  const file = join(dir, 'resolv.conf');
  writeFileSync(file, `nameserver ${address}\n`);
  return ['unshare', '--mount', 'sh', '-c', ASKING, file];
}

export class Operator {
  readonly identity: string;
  readonly log: LogLine[] = [];
  readonly #child: ChildProcess;
  readonly #healthPort: number;
  readonly ended: Promise<number | null>;
  #errors = '';

  private constructor(identity: string, child: ChildProcess, healthPort: number) {
    this.identity = identity;
    this.#child = child;
    this.#healthPort = healthPort;
    // By then its last words are read too.
    this.ended = new Promise((resolve) => child.once('close', resolve));
    if (child.stdout)
      createInterface({ input: child.stdout }).on('line', (line) => this.log.push(JSON.parse(line)));
    child.stderr?.on('data', (chunk) => {
      this.#errors += chunk;
    });
  }

  static async start(
    plane: Plane,
    { identity, server, args = [], nameServer }: OperatorOptions,
  ): Promise<Operator> {
    const healthPort = await freePort();
    const kubeconfig = join(plane.dir, `${identity}.kubeconfig`);
    writeFileSync(kubeconfig, JSON.stringify(kubeconfigFor(plane, plane.token, server ?? plane.server)));
    const settings = [
      ...['--kubeconfig', kubeconfig, '--namespace', SYSTEM, '--health-port', String(healthPort)],
      ...['--relay-image', 'mailrelay.test/relay:1'],
    ];
    const around = nameServer === undefined ? [] : withNameServer(plane.dir, nameServer);
    const command = [...around, process.execPath, COMMAND, 'operator', ...settings, ...args];
    const child = spawn(command[0] as string, command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, POD_NAME: identity },
    });
    if (child.pid !== undefined) record(plane.dir, child.pid);
    const operator = new Operator(identity, child, healthPort);
    plane.receive(operator, operator.ended);
    return operator;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  said(event: string): LogLine | undefined {
    return this.log.findLast((line) => line.event === event);
  }

  /** Resolves when the process leads with complete caches. */
  leads(withinMs = 120_000): Promise<unknown> {
    const isLeading = () => {
      if (this.said('caches_complete')) return true;
      throw new Error(`its last words: ${JSON.stringify(this.log.slice(-LAST_LINES))}`);
    };
    const ended = this.ended.then(() => {
      throw new Error(`${this.identity} ended: ${this.#errors}`);
    });
    return Promise.race([until(`${this.identity} to lead`, isLeading, withinMs), ended]);
  }

  /** Resolves with the exit status; null if a signal ended the process. */
  end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal);
    return this.ended;
  }

  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  async health(path: '/healthz' | '/readyz' | '/metrics'): Promise<{ status: number; text: string }> {
    const response = await fetch(`http://127.0.0.1:${this.#healthPort}${path}`);
    return { status: response.status, text: await response.text() };
  }
}

export function kubeconfigFor(plane: Plane, token: string, server = plane.server) {
  // By default client-node sends no token without TLS. A proxy does the TLS to the API server.
  const trust = server.startsWith('https:')
    ? { 'certificate-authority': plane.authority }
    : { 'insecure-skip-tls-verify': true };
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'plane', cluster: { server, ...trust } }],
    users: [{ name: 'operator', user: { token } }],
    contexts: [{ name: 'plane', context: { cluster: 'plane', user: 'operator' } }],
    'current-context': 'plane',
  };
}
