/** Runs a program to its end, shown as it goes or only kept. A signal to this process goes to the program. */
import { spawn } from 'node:child_process';

export interface Told {
  readonly status: number;
  readonly output: string;
}

export function runToEnd(
  [command = '', ...args]: readonly string[],
  { isShown, env = process.env }: { readonly isShown: boolean; readonly env?: NodeJS.ProcessEnv },
): Promise<Told> {
  const child = spawn(command, args, { stdio: [isShown ? 'inherit' : 'ignore', 'pipe', 'pipe'], env });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal));
  let output = '';
  for (const [stream, shown] of [
    [child.stdout, process.stdout] as const,
    [child.stderr, process.stderr] as const,
  ])
    stream.on('data', (chunk) => {
      output += chunk;
      if (isShown) shown.write(chunk);
    });
  return new Promise((resolve) => child.once('close', (status) => resolve({ status: status ?? 1, output })));
}

/** What the runs of tests in the output told at their ends of tests that failed. */
export function listFailures(output: string): string[] {
  const [, ...sections] = output.split(/^✖ failing tests:$/m);
  return sections.map((section) => section.split(/^(?:▶|✔|ℹ|cluster:|operator:)/m, 1)[0]?.trim() ?? '');
}
