/** A MailRelay as a watch shows it: every version, until it is stopped. */
import { type ChildProcess, spawn } from 'node:child_process';
import { parseAllDocuments } from 'yaml';
import { until } from '#test/kit/wait.ts';
import { prepared, type RelayObject, relayOf } from './kube.ts';

/** Every version of the relay that the API server shows, as documents after each other. */
export class Watched {
  readonly #child: ChildProcess;
  readonly #namespace: string;
  #text = '';

  constructor(namespace: string, name: string) {
    this.#namespace = namespace;
    const { kubectl: program, kubeconfig } = prepared();
    const which = ['-n', namespace, '--field-selector', `metadata.name=${name}`];
    const args = ['--kubeconfig', kubeconfig, 'get', 'mailrelay', ...which, '-w', '-o', 'yaml'];
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString();
    });
    this.#child = child;
  }

  /** Up to the version that there is now. */
  async versions(): Promise<RelayObject[]> {
    const { resourceVersion } = relayOf(this.#namespace).metadata;
    await until('the last version', () => this.#text.includes(`resourceVersion: "${resourceVersion}"`));
    return parseAllDocuments(this.#text).map((document) => document.toJS() as RelayObject);
  }

  stop(): void {
    this.#child.kill();
  }
}
