/**
 * The processes of a test cluster: started in its network namespace with their output in files, ended by process id in
 * reverse order, and only those that were started here. A record of what was made lies on disk, so that the remains of
 * a killed run can be cleared by the next one.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { appendFileSync, closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** An API server waits long for those that watch it; nothing of a test cluster is worth it. */
const END_MS = 2_000;
/** A process that was killed still has its ports for a moment. */
const KILLED_MS = 10_000;

export class Processes {
  readonly #dir: string;
  readonly #running: { name: string; child: ChildProcess }[] = [];
  #stopped = false;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** `name` is that of its log. Throws once all is being stopped: a start that goes on beside a stop ends there. */
  start(name: string, [program = '', ...args]: readonly string[]): number {
    if (this.#stopped) throw new Error(`The cluster is being stopped: ${name} is not started`);
    const log = openSync(join(this.#dir, `${name}.log`), 'a');
    // In a group of its own: Ctrl-C reaches us, and we end them in order.
    const child = spawn(program, args, { stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    // Told by the missing process id, below.
    child.once('error', () => undefined);
    child.unref();
    this.#running.push({ name, child });
    if (child.pid === undefined) throw new Error(`Cannot start ${name}: ${program} does not run`);
    record(this.#dir, child.pid);
    return child.pid;
  }

  hasEnded(name: string): boolean {
    const found = this.#running.find((running) => running.name === name);
    return found !== undefined && (found.child.exitCode ?? found.child.signalCode) !== null;
  }

  /** Ends one, which may then be started again. */
  async end(name: string): Promise<void> {
    const index = this.#running.findIndex((running) => running.name === name);
    for (const { child } of this.#running.splice(index, index < 0 ? 0 : 1)) await end(child.pid);
  }

  /** The last lines of the log of a process, for an error message. */
  tail(name: string, lines = 5): string {
    const log = readIfThere(join(this.#dir, `${name}.log`));
    return log.trim().split('\n').slice(-lines).join(' | ') || 'no log';
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { child } of this.#running.toReversed()) await end(child.pid);
    rmSync(recordOf(this.#dir), { force: true });
  }
}

const recordOf = (dir: string) => join(dir, 'pids');

/** A process that ends with what lives in `dir`, whoever started it. */
export function record(dir: string, pid: number): void {
  appendFileSync(recordOf(dir), `${pid} ${startTimeOf(pid)}\n`);
}

/** Ends what an earlier run recorded in `dir` and did not end. A pid that was reused since is left alone. */
export async function endRecorded(dir: string): Promise<void> {
  for (const line of readIfThere(recordOf(dir)).trim().split('\n').toReversed()) {
    const [pid, started] = line.split(' ');
    if (isRunning(Number(pid), started)) await end(Number(pid));
  }
  rmSync(recordOf(dir), { force: true });
}

/** Empty if the file is not there: another run may clear the same place at the same time. */
export function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Clock ticks since boot at which a process began: with the pid, its identity. */
export function startTimeOf(pid: number): string {
  return readStat(pid)[19] ?? '';
}

export function isRunning(pid: number, started: string | undefined): boolean {
  return started !== undefined && started !== '' && startTimeOf(pid) === started && !isZombie(pid);
}

async function end(pid: number | undefined): Promise<void> {
  if (pid === undefined || !signal(pid, 'SIGTERM')) return;
  const deadline = Date.now() + END_MS;
  while (signal(pid, 0) && !isZombie(pid)) {
    if (Date.now() > deadline + KILLED_MS) return;
    if (Date.now() > deadline) signal(pid, 'SIGKILL');
    await new Promise((tick) => setTimeout(tick, 50));
  }
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

/** Or ended. */
function isZombie(pid: number): boolean {
  return ['Z', ''].includes(readStat(pid)[0] ?? '');
}

/** The fields behind the name of the command. */
function readStat(pid: number): string[] {
  const stat = readIfThere(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Runs a command to its end; throws with what it wrote to standard error. */
export function command(name: string, args: readonly string[], input?: string): string {
  return execFileSync(name, [...args], {
    encoding: 'utf8',
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    maxBuffer: 64 * 2 ** 20,
    ...(input === undefined ? {} : { input }),
  });
}
