/** The load generator and the sink (smtpbench, Go), built once per source and kept beside the programs of the cluster. */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDir } from '#test/cluster/programs.ts';
import type { Pair } from '#test/kit/ca.ts';
import { until } from '#test/kit/wait.ts';

const SOURCE = new URL('smtpbench/', import.meta.url).pathname;
const run = promisify(execFile);

export interface LoadTerms {
  readonly starttls: boolean;
  /** The client sends MAIL, RCPT and DATA in one write and waits for their replies together. */
  readonly pipelining: boolean;
  readonly connections: number;
  readonly perConnection: number;
  readonly bytes: number;
}

export interface Sent {
  readonly accepted: number;
  readonly sessions: number;
  readonly failed: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly startMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly tls: string;
  readonly cpuMs: number;
}

export interface Taken {
  readonly distinct: number;
  readonly duplicates: number;
  /** Of other runs: of the warm-up. */
  readonly other: number;
  readonly connections: number;
  readonly tls: string;
  readonly lastMs: number;
  readonly cpuMs: number;
  /** Places, on average, between where a message came and where it was sent. */
  readonly displacement: number;
}

/** Path of the program. Throws what the compiler says. */
async function smtpbench(): Promise<string> {
  const sources = readdirSync(SOURCE).map((name) => readFileSync(join(SOURCE, name), 'utf8'));
  const recipe = createHash('sha256').update(sources.join()).digest('hex').slice(0, 12);
  const folder = join(cacheDir(), 'bench');
  const path = join(folder, `smtpbench-${recipe}`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  await run('go', ['build', '-o', `${path}.new`, '.'], {
    cwd: SOURCE,
    env: { ...process.env, CGO_ENABLED: '0' },
  });
  renameSync(`${path}.new`, path);
  return path;
}

/** Sends for so many seconds, or so many messages; resolves when the last has been answered. */
export async function send(
  to: number,
  name: string,
  { starttls, pipelining, connections, perConnection, bytes }: LoadTerms,
  most: { seconds: number; messages?: number },
): Promise<Sent> {
  const { stdout } = await run(await smtpbench(), [
    'source',
    ...['-to', `127.0.0.1:${to}`, '-run', name, '-size', String(bytes)],
    ...['-c', String(connections), '-per', String(perConnection), '-seconds', String(most.seconds)],
    ...(most.messages === undefined ? [] : ['-n', String(most.messages)]),
    ...(starttls ? ['-starttls'] : []),
    ...(pipelining ? ['-pipeline'] : []),
  ]);
  return JSON.parse(stdout) as Sent;
}

export class Sink {
  readonly #stats: string;
  readonly #child: ReturnType<typeof spawn>;

  private constructor(stats: string, child: ReturnType<typeof spawn>) {
    this.#stats = stats;
    this.#child = child;
  }

  static async start(
    dir: string,
    port: number,
    name: string,
    options: { pair: Pair; starttls: boolean },
  ): Promise<Sink> {
    const [cert, key, stats] = [join(dir, 'sink.crt'), join(dir, 'sink.key'), join(dir, 'sink.json')];
    writeFileSync(cert, options.pair.cert);
    writeFileSync(key, options.pair.key, { mode: 0o600 });
    const child = spawn(
      await smtpbench(),
      [
        'sink',
        ...['-listen', `127.0.0.1:${port}`, '-run', name, '-stats', stats, '-cert', cert, '-key', key],
        ...(options.starttls ? ['-starttls'] : []),
      ],
      { stdio: 'inherit' },
    );
    const sink = new Sink(stats, child);
    await until('the sink to run', () => existsSync(stats));
    return sink;
  }

  taken(): Taken {
    return JSON.parse(readFileSync(this.#stats, 'utf8')) as Taken;
  }

  goDown(): void {
    this.#child.kill('SIGUSR1');
  }

  comeBack(): void {
    this.#child.kill('SIGUSR2');
  }

  stop(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    this.#child.kill('SIGTERM');
    return ended;
  }
}
