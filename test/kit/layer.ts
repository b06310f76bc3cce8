/**
 * A server in its own file system: that of the machine, with a Debian package and its configuration as a layer above.
 * So the server has its fixed paths and its users, and the machine does not change. Its files are in memory and
 * disappear with its last process, except in shared folders. Needs root, and mount namespaces and overlays of Linux. It
 * is ended by its pid.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { unpacked } from './debian.ts';
import { Foreground } from './foreground.ts';

export interface LayerOptions {
  /** Debian package. */
  readonly name: string;
  /** The command of the server, which stays in the foreground. */
  readonly command: readonly string[];
  readonly port: number;
  readonly files: Readonly<Record<string, string>>;
  /** The system users of the server, with the folders that each owns. */
  readonly users: Readonly<Record<string, readonly string[]>>;
  /** Folders of the machine to which the server writes directly. */
  readonly shared?: readonly string[];
  /**
   * If true, processes without a parent stay in the tree of the server and end with it, so that a test can measure
   * them. There is no `path` then.
   */
  readonly isContained?: boolean;
}

const FIRST_UID = 64_100;

/** `$1` is a folder of ours, `$2` the package; then comes the command. The mounts end with the last process. */
const ENTER = `set -eu
mount -t tmpfs -o mode=755 layer "$1/mount"
mkdir "$1/mount/upper" "$1/mount/work" "$1/mount/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/mount/upper,workdir=$1/mount/work" overlay "$1/mount/root"
cd "$1/mount/root"
for layer in "$2" "$1/files"; do tar -C "$layer" -c . | tar -x --keep-directory-symlink; done
while read -r each; do mount --rbind "$each" ".$each"; done <"$1/shared"
sh "$1/folders"
shift 2
exec chroot . "$@"`;

export function layerProblem(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'a file system of its own needs root';
}

export class Layer {
  readonly #dir: string;
  readonly #server: Foreground;
  readonly #isContained: boolean;

  private constructor(dir: string, server: Foreground, isContained: boolean) {
    this.#dir = dir;
    this.#server = server;
    this.#isContained = isContained;
  }

  static async start(options: LayerOptions): Promise<Layer> {
    const { name, port, isContained = false } = options;
    const dir = mkdtempSync(join(tmpdir(), `mailrelay-${name}-`));
    prepare(dir, options);
    const spaces = isContained ? ['--mount', '--pid', '--fork'] : ['--mount'];
    const enter = ['sh', '-c', ENTER, 'sh', dir, unpacked(name), ...options.command];
    const command = ['unshare', ...spaces, ...enter];
    return new Layer(dir, await Foreground.start({ name, command, port }), isContained);
  }

  get pid(): number {
    return this.#server.pid;
  }

  /** The path on the machine of a path in the file system of the server. */
  path(inside: string): string {
    return `/proc/${this.#server.pid}/root${inside}`;
  }

  async stop(): Promise<void> {
    // All processes of the namespace end with its first process. The process that waits outside gets no signal.
    const inside = this.#isContained
      ? readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8')
      : '';
    for (const child of inside.split(' ').filter(Boolean)) process.kill(Number(child), 'SIGKILL');
    await this.#server.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function prepare(dir: string, { files, users, shared = [] }: LayerOptions): void {
  mkdirSync(join(dir, 'mount'));
  writeFileSync(
    join(dir, 'shared'),
    ['/proc', '/dev', '/sys', ...shared].map((path) => `${path}\n`).join(''),
  );
  const names = Object.keys(users);
  const all: Readonly<Record<string, string>> = {
    ...files,
    '/etc/passwd': withLines(
      '/etc/passwd',
      names,
      (name, id) => `${name}:x:${id}:${id}::/:/usr/sbin/nologin`,
    ),
    '/etc/group': withLines('/etc/group', names, (name, id) => `${name}:x:${id}:`),
  };
  for (const [path, text] of Object.entries(all)) {
    const target = join(dir, 'files', path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
  }
  const folders = Object.values(users).flatMap((paths, index) => {
    const id = FIRST_UID + index;
    return paths.map((path) => `mkdir -p .${path} && chown ${id}:${id} .${path}`);
  });
  writeFileSync(join(dir, 'folders'), `set -eu\n${folders.join('\n')}\n`);
}

/** Users and groups of the machine. Ours replace those of the same name. */
function withLines(
  path: string,
  names: readonly string[],
  line: (name: string, id: number) => string,
): string {
  const kept = readFileSync(path, 'utf8')
    .split('\n')
    .filter((entry) => entry !== '' && !names.includes(entry.split(':')[0] ?? ''));
  return `${[...kept, ...names.map((name, index) => line(name, FIRST_UID + index))].join('\n')}\n`;
}
