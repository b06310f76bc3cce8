/**
 * A person who types the commands of the pages: in a folder that looks like the clone, with a /usr/local/bin and an /etc/hosts of
 * their own, and with the image of this project in the registry that the pages name.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { endWithFile } from '#test/kit/child.ts';
import { until } from '#test/kit/wait.ts';
import { ctr } from '../containerd.ts';
import { prepared } from '../kube.ts';

const TOP = new URL('../../../', import.meta.url).pathname;
const CLONE = ['bin', 'charts', 'crds', 'deploy', 'examples'];
export const REGISTRY = 'registry.example.com';
/** Both are the image of this checkout. */
export const TAGS = { old: '0.1.0', new: '0.1.1' };
const PASSWORD = 'correct horse\n';
/** Such a command does not end by itself, and the pages must say so. */
const MOST_MS = 300_000;
const PLACEHOLDER = /\b(?:REGISTRY|NAMESPACE|POD|NEW|OLD(?:-CHART)?|ID)\b/g;
const WITHIN_MS = 60_000;
/** The outer shell stays: a program in its place could lose the order to end with its parent. */
const BEGIN =
  'mount --bind "$HOSTS" /etc/hosts && mount --bind "$LOCAL" /usr/local/bin && { bash -o pipefail -c "$1"; exit; }';
/** What a command has started ends with it. */
const UNSHARE = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

export interface Ran {
  readonly status: number | null;
  readonly output: string;
}

export class Reader {
  readonly folder = mkdtempSync(join(tmpdir(), 'mailrelay-reader-'));
  readonly #local = join(this.folder, '.local-bin');
  readonly #hosts = join(this.folder, '.hosts');
  readonly #places: Record<string, string> = {
    REGISTRY,
    NEW: TAGS.new,
    OLD: TAGS.old,
    'OLD-CHART': 'charts/mailrelay-operator',
    NAMESPACE: 'mail',
    POD: 'relay-0',
  };

  private constructor() {
    for (const name of CLONE) symlinkSync(join(TOP, name), join(this.folder, name));
    mkdirSync(this.#local);
    symlinkSync(join(TOP, 'bin/mailrelay'), join(this.#local, 'mailrelay'));
    this.knowHost('localhost', '127.0.0.1');
  }

  static create(): Reader {
    const { containerd, image } = prepared();
    const built = `${image.repository}:${image.tag}`;
    for (const tag of Object.values(TAGS)) {
      const words = ['images', 'tag', '--force', built, `${REGISTRY}/mailrelay:${tag}`];
      ctr({ socket: containerd }, ['-n', 'k8s.io', ...words]);
    }
    return new Reader();
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  read(name: string): string {
    return readFileSync(join(this.folder, name), 'utf8');
  }

  /** `name` leads to `address`, and no other name does. */
  knowHost(name: string, address: string): void {
    writeFileSync(this.#hosts, `127.0.0.1 localhost\n${address} ${name}\n`);
  }

  /** What the person types for a placeholder of the pages. */
  fill(place: string, value: string): void {
    this.#places[place] = value;
  }

  async run(command: string): Promise<Ran> {
    const { child, output, ended } = this.#begin(command);
    const bound = setTimeout(() => child.kill('SIGKILL'), MOST_MS);
    const status = await ended;
    clearTimeout(bound);
    return { status, output: output() };
  }

  /** Types it again and again until it shows what is wanted. */
  watch(command: string, shows: RegExp): Promise<Ran> {
    return until(
      `${shows} by ${command}`,
      async () => {
        const ran = await this.run(command);
        if (ran.status === 0 && shows.test(ran.output)) return ran;
        throw new Error(`${ran.status}\n${ran.output}`);
      },
      WITHIN_MS,
    );
  }

  /** Lets a command that does not end by itself run until it shows what is wanted. */
  async follow(command: string, shows: RegExp): Promise<Ran> {
    const { child, output, ended } = this.#begin(command);
    try {
      await until(`${shows} by ${command}`, () => shows.test(output()), WITHIN_MS);
      return { status: 0, output: output() };
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
  }

  #begin(command: string) {
    const { kubectl, kubeconfig } = prepared();
    const env = {
      ...process.env,
      HOME: this.folder,
      KUBECONFIG: kubeconfig,
      PATH: `/usr/local/bin:${dirname(kubectl)}:${process.env['PATH']}`,
      HOSTS: this.#hosts,
      LOCAL: this.#local,
    };
    const args = [...UNSHARE, 'bash', '-c', BEGIN, 'bash', this.#fill(command)];
    const child = endWithFile(spawn('unshare', args, { cwd: this.folder, env }));
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk;
      });
    child.stdin.end(PASSWORD);
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    return { child, output: () => output, ended };
  }

  #fill(command: string): string {
    return command.replace(PLACEHOLDER, (name) => this.#places[name] ?? name);
  }
}
