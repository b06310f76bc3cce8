/** The rows of "kubectl get mr" as they change: one command for all relays, in place of a question for each. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { prepared } from '../kube.ts';
import { NAMESPACE } from './commands.ts';

export class Rows {
  readonly #child: ChildProcess;
  readonly #rows = new Map<string, string>();

  constructor() {
    const { kubectl, kubeconfig } = prepared();
    const args = ['--kubeconfig', kubeconfig, 'get', 'mr', '-n', NAMESPACE, '--watch', '--no-headers'];
    this.#child = spawn(kubectl, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => this.#rows.set(line.split(' ', 1)[0] ?? '', line));
  }

  /** The latest; empty where there is none. */
  of(name: string): string {
    return this.#rows.get(name) ?? '';
  }

  stop(): void {
    this.#child.kill();
  }
}
