/**
 * Debian packages. Tools are installed. Mail servers, whose packages conflict with each other, are downloaded with the
 * dependencies that the machine lacks, and unpacked into a folder that is kept and named after the version. A failure
 * has the message of the package manager.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const CACHE = join(homedir(), '.cache', 'mailrelay', 'debian');

/** Installs the packages if `works` is false. Returns why that failed, or undefined. */
export function installProblem(works: () => boolean, ...packages: readonly string[]): string | undefined {
  if (works()) return undefined;
  if (process.getuid?.() !== 0) return `not installed: ${packages.join(' ')}`;
  process.stderr.write(`installing ${packages.join(' ')}\n`);
  run(['apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...packages]);
  return undefined;
}

/**
 * The folder with the files of the package and its dependencies: `needs`, else those that an installation would add.
 */
export function unpacked(name: string, needs?: readonly string[]): string {
  const folder = join(CACHE, `${name}_${versionOf(name)}`);
  if (existsSync(folder)) return folder;
  process.stderr.write(`downloading ${name}\n`);
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, 'unpacking-'));
  try {
    run(['apt-get', 'download', '-qq', name, ...(needs ?? missingFor(name))], work);
    const root = join(work, 'root');
    mkdirSync(root);
    for (const file of readdirSync(work).filter((entry) => entry.endsWith('.deb')))
      run(['dpkg-deb', '-x', file, root], work);
    renameSync(root, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

/** The version of the package that the machine would install. */
export function versionOf(name: string): string {
  const show = () => run(['apt-cache', 'show', '--no-all-versions', name]);
  let text: string;
  try {
    text = show();
  } catch {
    // A new machine has no package lists.
    run(['apt-get', 'update', '-qq']);
    text = show();
  }
  return (/^Version: (\S+)$/m.exec(text)?.[1] ?? '').replaceAll(':', '_');
}

function missingFor(name: string): string[] {
  const plan = run(['apt-get', 'install', '--simulate', '--no-install-recommends', name]);
  return [...plan.matchAll(/^Inst (\S+) /gm)]
    .map(([, found = '']) => found)
    .filter((found) => found !== name);
}

function run([command = '', ...args]: readonly string[], cwd?: string): string {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
