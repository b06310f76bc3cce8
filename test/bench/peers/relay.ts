/** Our relay, as a pod runs it: `mailrelay relay` on folders. */
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { publishFolder } from '#cli/inputfolder.ts';
import { projectVersion } from '#cli/version.ts';
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelaySpec } from '#crds/mailrelay.ts';
import { type PodStatus, parsePodStatus } from '#crds/podstatus.ts';
import { POLICY_FILE_NAME, type Policy, printPolicy } from '#crds/policyfile.ts';
import { listenerProcesses } from '#relay/supervisor/cpus.ts';
import type { Pair } from '#test/kit/ca.ts';
import { freePort } from '#test/kit/ports.ts';
import { until } from '#test/kit/wait.ts';
import type { Peer, Running, Setting } from '../peer.ts';

const NAMED = { name: 'bench', namespace: 'bench' };
const ROOT = new URL('../../../', import.meta.url).pathname;

export const relay = relayOf('mailrelay', {});

/** Our relay run in another way, to compare with: of an earlier checkout, or with another number of processes. */
export function relayOf(name: string, how: How): Peer<RunningRelay> {
  return {
    name,
    problem: () => undefined,
    version: () => `${name} ${projectVersion()}, Node ${process.version}`,
    start: (setting) => RunningRelay.start(setting, how),
  };
}

interface How {
  readonly checkout?: string;
  readonly processes?: number;
  readonly policy?: Policy;
  /** What is switched on besides. */
  readonly extend?: (spec: MailRelaySpec) => MailRelaySpec;
  /** The command that becomes the relay's. */
  readonly through?: readonly string[];
}

export class RunningRelay implements Running {
  readonly #dir: string;
  readonly #adminPort: number;
  readonly #child: ReturnType<typeof spawn>;

  private constructor(dir: string, adminPort: number, child: ReturnType<typeof spawn>) {
    this.#dir = dir;
    this.#adminPort = adminPort;
    this.#child = child;
  }

  static async start(setting: Setting, how: How = {}): Promise<RunningRelay> {
    const {
      checkout = ROOT,
      processes = listenerProcesses(),
      policy,
      extend = (spec) => spec,
      through = [],
    } = how;
    const { dir, pair } = setting;
    const adminPort = await freePort();
    const log = openSync(join(dir, 'relay.log'), 'a');
    const folders = ['policy', 'certificate', 'secrets', 'configmaps', 'state'];
    publishPair(dir, pair);
    publishPolicyText(
      dir,
      policy ? printPolicy(policy) : await writePolicy(checkout, extend(specFor(setting))),
    );
    const flags = [
      ...folders.flatMap((name) => [`--${name}`, join(dir, name)]),
      ...['--listen', '127.0.0.1', '--admin-port', String(adminPort), '--grace', '0'],
      ...['--processes', String(processes)],
    ];
    const [command = '', ...args] = [...through, join(checkout, 'bin', 'mailrelay'), 'relay', ...flags];
    const child = spawn(command, args, { cwd: dir, stdio: ['ignore', log, log] });
    const relay = new RunningRelay(dir, adminPort, child);
    await until('the relay to be ready', async () => (await relay.#get('/readyz')).ok);
    return relay;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Takes effect as in a pod: the relay sees that the folder changed. */
  change(policy: Policy): void {
    publishPolicyText(this.#dir, printPolicy(policy));
  }

  renew(pair: Pair): void {
    publishPair(this.#dir, pair);
  }

  async status(): Promise<PodStatus> {
    const status = parsePodStatus(await (await this.#get('/status')).text());
    if (!status) throw new Error('the status cannot be read');
    return status;
  }

  async syncs(): Promise<number> {
    const text = await (await this.#get('/metrics')).text();
    const counts = text.matchAll(/^mailrelay_spool_syncs_total\{.*\} (\d+)/gm);
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
  }

  async stop(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    this.#child.kill('SIGTERM');
    await ended;
  }

  #get(path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.#adminPort}${path}`);
  }
}

export function policyOf(setting: Setting): Policy {
  return effectivePolicy(NAMED, specFor(setting));
}

/** The checkout writes its own policy file, because an earlier one does not read later fields. */
async function writePolicy(checkout: string, spec: MailRelaySpec): Promise<string> {
  const load = (path: string) => import(pathToFileURL(join(checkout, path)).href);
  const effective: typeof import('#crds/effective.ts') = await load('crds/effective.ts');
  const file: typeof import('#crds/policyfile.ts') = await load('crds/policyfile.ts');
  return file.printPolicy(effective.effectivePolicy(NAMED, spec));
}

function specFor({ port, sinkPort, tls, cutThrough }: Setting): MailRelaySpec {
  return {
    hostname: 'relay.bench.example',
    replicas: 1,
    tls: { secretName: 'relay-tls' },
    inbound: {
      starttls: tls ? 'Enabled' : 'Disabled',
      listeners: [{ name: 'smtp', port }],
      clients: { networks: ['127.0.0.0/8'] },
    },
    outbound: {
      tls: { level: tls ? 'Encrypt' : 'None' },
      smartHosts: [{ host: '127.0.0.1', port: sinkPort }],
    },
    queue: { mode: cutThrough ? 'CutThrough' : 'Durable' },
  };
}

function publishPolicyText(dir: string, text: string): void {
  publishFolder(join(dir, 'policy'), { [POLICY_FILE_NAME]: text });
}

function publishPair(dir: string, { cert, key }: Pair): void {
  publishFolder(join(dir, 'certificate'), { 'tls.crt': cert, 'tls.key': key });
}
