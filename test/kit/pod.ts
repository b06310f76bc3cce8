/**
 * A pod of a StatefulSet without a cluster: `mailrelay relay` with its folders, at its own address of the loopback, so
 * that its siblings reach it at the port that all pods have in common.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type PodStatus, parsePodStatus } from '#crds/podstatus.ts';
import { POLICY_FILE_NAME, type Policy, printPolicy } from '#crds/policyfile.ts';
import { printScale, SCALE_FILE_NAME } from '#crds/scalefile.ts';
import type { Pair } from './ca.ts';
import { endWithFile } from './child.ts';
import { freePort } from './ports.ts';
import { mount } from './relayrig.ts';
import { until } from './wait.ts';

const LAUNCHER = new URL('../../bin/mailrelay', import.meta.url).pathname;

export interface TestPodOptions {
  readonly dir: string;
  readonly name: string;
  readonly address: string;
  readonly policy: Policy;
  readonly pair: Pick<Pair, 'cert' | 'key'>;
  readonly env?: Readonly<Record<string, string>>;
}

export class TestPod {
  readonly #options: TestPodOptions;
  readonly #adminPort: number;
  #child: ChildProcess | undefined;
  log = '';

  private constructor(options: TestPodOptions, adminPort: number) {
    this.#options = options;
    this.#adminPort = adminPort;
  }

  static async start(
    options: TestPodOptions,
    replicas: number,
    siblings: readonly string[],
  ): Promise<TestPod> {
    const pod = new TestPod(options, await freePort(options.address));
    const { pair } = options;
    for (const folder of ['policy', 'tls', 'secrets', 'configmaps']) mkdirSync(pod.#folder(folder));
    mount(pod.#folder('tls'), { 'tls.crt': pair.cert, 'tls.key': pair.key });
    pod.scale(replicas, siblings);
    await pod.up();
    return pod;
  }

  get stateDir(): string {
    return this.#folder('state');
  }

  get isRunning(): boolean {
    const { exitCode, signalCode } = this.#child ?? { exitCode: 0, signalCode: null };
    return exitCode === null && signalCode === null;
  }

  /** Writes the scale file beside the policy, as the operator does. */
  scale(replicas: number, siblings: readonly string[]): void {
    mount(this.#folder('policy'), {
      [POLICY_FILE_NAME]: printPolicy(this.#options.policy),
      [SCALE_FILE_NAME]: printScale(replicas, siblings),
    });
  }

  /** Starts the pod, also again. Resolves when its policy is in force. */
  async up(): Promise<void> {
    const { address, name, env } = this.#options;
    const folders = {
      policy: 'policy',
      certificate: 'tls',
      secrets: 'secrets',
      configmaps: 'configmaps',
      state: 'state',
    };
    const args = Object.entries(folders).flatMap(([option, folder]) => [`--${option}`, this.#folder(folder)]);
    args.push('--listen', address, '--admin-port', String(this.#adminPort), '--pod-name', name);
    args.push('--processes', '1', '--grace', '0', '--drain', '5');
    const child = endWithFile(
      spawn(LAUNCHER, ['relay', ...args], {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        this.log += chunk;
      });
    this.#child = child;
    const isUp = async () => !this.isRunning || (await this.status()).policy.hash !== null;
    await until(`the pod ${name} to be up`, isUp, 60_000);
    if (!this.isRunning) throw new Error(`the pod ${name} ended: ${this.log}`);
  }

  async status(): Promise<PodStatus> {
    const response = await fetch(`http://${this.#options.address}:${this.#adminPort}/status`);
    const status = parsePodStatus(await response.text());
    if (!status) throw new Error('the status cannot be read');
    return status;
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (!child || !this.isRunning) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  #folder(name: string): string {
    return join(this.#options.dir, name);
  }
}
