/**
 * A real relay for the tests: `bin/mailrelay run` in its own folder, on free ports. A test does to it only what a user
 * can do: edit the manifest, read the status, signal the process.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PodStatus, parsePodStatus } from '#crds/podstatus.ts';
import type { Pair } from './ca.ts';
import { endWithFile, waitForEnd } from './child.ts';
import { freePort } from './ports.ts';
import { until } from './wait.ts';

/** Of the log of a relay that does not end, in characters. */
const LAST_WORDS = 4_000;

const LAUNCHER = new URL('../../bin/mailrelay', import.meta.url).pathname;

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command until it ends. */
export async function mailrelay(args: readonly string[], cwd = tmpdir()): Promise<Ended> {
  const child = endWithFile(spawn(LAUNCHER, [...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] }));
  const output = collect(child);
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { status, ...output() };
}

export interface TestRelayOptions {
  /** Makes the manifest from free ports. */
  readonly manifest: (ports: readonly number[]) => string;
  readonly ports?: number;
  readonly dir?: string;
  /** Variables besides those of the test. */
  readonly env?: Readonly<Record<string, string>>;
  /** A command that runs the command after it in the same process. */
  readonly through?: readonly string[];
  /** Of the command, where `through` leads to another one than that of the checkout. */
  readonly launcher?: string;
  readonly upWithinMs?: number;
}

export class TestRelay {
  readonly dir: string;
  readonly ports: readonly number[];
  readonly adminPort: number;
  readonly #manifest: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #through: readonly string[];
  readonly #launcher: string;
  readonly #upWithinMs: number;
  #child: ChildProcess | undefined;
  #output: () => { stdout: string; stderr: string } = () => ({ stdout: '', stderr: '' });

  private constructor(
    dir: string,
    ports: readonly number[],
    adminPort: number,
    { env = {}, through = [], launcher = LAUNCHER, upWithinMs = 180_000 }: TestRelayOptions,
  ) {
    this.dir = dir;
    this.ports = ports;
    this.adminPort = adminPort;
    this.#manifest = join(dir, 'relay.yaml');
    this.#env = env;
    this.#through = through;
    this.#launcher = launcher;
    this.#upWithinMs = upWithinMs;
  }

  static async start(options: TestRelayOptions): Promise<TestRelay> {
    const { manifest, ports: count = 1, dir } = options;
    const ports: number[] = [];
    while (ports.length < count) ports.push(await freePort());
    const relay = new TestRelay(
      dir ?? mkdtempSync(join(tmpdir(), 'mailrelay-test-')),
      ports,
      await freePort(),
      options,
    );
    relay.edit(manifest(ports));
    try {
      await relay.up();
    } catch (error) {
      // The caller has no handle to end it.
      await relay.stop();
      throw error;
    }
    return relay;
  }

  get stateDir(): string {
    return join(this.dir, 'state');
  }

  get stdout(): string {
    return this.#output().stdout;
  }

  get stderr(): string {
    return this.#output().stderr;
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Starts the relay, also again, on the same manifest, ports and state. Resolves when it is ready. */
  async up(): Promise<void> {
    const [program = '', ...args] = [
      ...this.#through,
      this.#launcher,
      'run',
      '-f',
      this.#manifest,
      '--state',
      this.stateDir,
      '--admin-port',
      String(this.adminPort),
    ];
    const child = endWithFile(
      spawn(program, args, {
        env: { ...process.env, ...this.#env },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    this.#child = child;
    this.#output = collect(child);
    await until(
      'the relay to be up',
      async () => {
        if (!this.isRunning) return true;
        return (await this.status()).policy.hash !== null && this.stdout.includes('MailRelay');
      },
      this.#upWithinMs,
    ).catch((error) => {
      // A test that waits for this process would wait for the child too.
      child.kill('SIGKILL');
      throw error;
    });
    if (!this.isRunning) throw new Error(`the relay ended: ${this.stderr}`);
  }

  edit(manifest: string): void {
    writeFileSync(this.#manifest, manifest);
  }

  async status(): Promise<PodStatus> {
    const response = await fetch(`http://127.0.0.1:${this.adminPort}/status`);
    const status = parsePodStatus(await response.text());
    if (!status) throw new Error('the status cannot be read');
    return status;
  }

  async metrics(): Promise<string> {
    return (await fetch(`http://127.0.0.1:${this.adminPort}/metrics`)).text();
  }

  /**
   * Waits until all of these stand in the metrics. Tasks report a few times a second, each by itself: the status may
   * tell what a metric does not tell yet, and one metric before another.
   */
  waitForMetrics(...wanted: readonly RegExp[]): Promise<string> {
    return until(`the metrics ${wanted.join(', ')}`, async () => {
      const text = await this.metrics();
      return wanted.every((one) => one.test(text)) && text;
    });
  }

  /** Waits until mail waits for this reason: the status tells the depth of the queue before. */
  waitForReason(why: RegExp): Promise<unknown> {
    return until(`mail to wait for the reason ${why}`, async () => {
      const { deferrals } = (await this.status()).queue;
      if (deferrals.some(({ message }) => why.test(message))) return true;
      throw new Error(`the reasons are ${JSON.stringify(deferrals)}`);
    });
  }

  /** Waits until the relay has printed this: what it prints comes another way than its status, its mail and its replies. */
  waitForOutput(words: RegExp): Promise<unknown> {
    return until(`the relay to print ${words}`, () => words.test(this.stdout) || words.test(this.stderr));
  }

  /** The CA of the throw-away certificate. */
  ca(): string {
    return readFileSync(join(this.stateDir, 'local-ca', 'ca.crt'), 'utf8');
  }

  /** All processes of the relay: the supervisor and its tasks. */
  tree(): number[] {
    // The status of ps is 1 where there is none.
    const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(this.pid)], { encoding: 'utf8' });
    return [this.pid, ...stdout.trim().split(/\s+/).filter(Boolean).map(Number)];
  }

  /** The pid of the task process with this script. */
  findTask(script: string): number {
    const pid = this.tree().find((one) => readFileSync(`/proc/${one}/cmdline`, 'utf8').includes(script));
    if (pid === undefined) throw new Error(`there is no ${script}`);
    return pid;
  }

  /** Kills the whole relay at once, as a power cut would. */
  async kill9(): Promise<void> {
    if (!this.isRunning) return;
    const pids = this.tree();
    const ended = this.#ended();
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // The process ended in the meantime.
      }
    }
    await ended;
  }

  /** Sends SIGTERM; resolves with the exit status. */
  async stop(): Promise<number | null> {
    const ended = this.#ended();
    if (this.isRunning) this.#child?.kill('SIGTERM');
    return ended;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  async #ended(): Promise<number | null> {
    if (!this.#child) return null;
    try {
      return await waitForEnd(this.#child, 'the relay');
    } catch (error) {
      throw new Error(`${(error as Error).message}; its log ends: ${this.stderr.slice(-LAST_WORDS)}`);
    }
  }
}

/** A Secret document with this pair. */
export function secretOf(name: string, { cert, key }: Pick<Pair, 'cert' | 'key'>): string {
  const indented = (text: string) => text.trim().replaceAll('\n', '\n    ');
  return `---
apiVersion: v1
kind: Secret
metadata: {name: ${name}}
type: kubernetes.io/tls
stringData:
  tls.crt: |
    ${indented(cert)}
  tls.key: |
    ${indented(key)}
`;
}

function collect(child: ChildProcess): () => { stdout: string; stderr: string } {
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  return () => ({ stdout, stderr });
}
