/** What the parts of a start share: the place, the programs, and how to start one and wait for it. */
import { join } from 'node:path';
import { until } from '#test/kit/wait.ts';
import type { Place } from './place.ts';
import type { Say } from './programs.ts';
import { command, type Processes } from './supervise.ts';

const WAIT_MS = 120_000;

export interface Starting {
  readonly place: Place;
  readonly processes: Processes;
  readonly programs: ReadonlyMap<string, string>;
  /** Command that enters the cluster's network. */
  readonly enter: readonly string[];
  /** Command that enters all of the cluster's namespaces. */
  readonly enterAll: readonly string[];
  readonly say: Say;
}

/** Starts a program in all of the cluster's namespaces. */
export function startInside(
  { processes, enterAll, programs }: Starting,
  name: string,
  args: readonly string[],
): void {
  processes.start(name, [...enterAll, programs.get(name) ?? name, ...args]);
}

export function kubectl({ place, enter, programs }: Starting, args: readonly string[], input?: string) {
  const [first = '', ...rest] = enter;
  const program = programs.get('kubectl') ?? 'kubectl';
  const kubeconfig = join(place.dir, 'admin.kubeconfig');
  return command(first, [...rest, program, '--kubeconfig', kubeconfig, ...args], input);
}

/** Waits for what a program is to bring about; fails at once when that program ends. */
export async function waitFor(
  { say, processes }: Starting,
  what: string,
  program: string,
  holds: () => boolean,
): Promise<void> {
  say(`waiting for ${what}`);
  try {
    await until(what, () => processes.hasEnded(program) || holds(), WAIT_MS);
  } catch {
    throw new Error(`${program} did not bring about ${what}: ${processes.tail(program)}`);
  }
  if (processes.hasEnded(program))
    throw new Error(`${program} ended before ${what}: ${processes.tail(program)}`);
}
