/** Runs a program to its end, shown as it goes or kept until then. A signal to this process goes to the program. */
import { spawn } from 'node:child_process';

export interface Told {
  readonly status: number;
  /** Empty where it was shown as it came. */
  readonly output: string;
}

export function runToEnd(
  [command = '', ...args]: readonly string[],
  { isShown, env = process.env }: { readonly isShown: boolean; readonly env?: NodeJS.ProcessEnv },
): Promise<Told> {
  const child = spawn(command, args, { stdio: isShown ? 'inherit' : ['ignore', 'pipe', 'pipe'], env });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal));
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk) => {
      output += chunk;
    });
  return new Promise((resolve) => child.once('close', (status) => resolve({ status: status ?? 1, output })));
}
