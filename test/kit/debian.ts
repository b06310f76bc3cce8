/**
 * Debian packages. Tools are installed. Mail servers, whose packages conflict with each other, are downloaded with the
 * dependencies that the machine lacks, and unpacked into a folder that is kept and named after the version. A failure
 * has the message of the package manager. Test files that run side by side may ask for the same package.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const CACHE = join(homedir(), '.cache', 'mailrelay', 'debian');
/** Another test file may be installing: apt-get waits for it instead of failing. */
const WAIT_FOR_LOCK = ['-o', 'DPkg::Lock::Timeout=300'];

/**
 * Installs the packages if `works` is false. Returns why that failed, or undefined. With CI set a failure is thrown,
 * because the tests of the caller would be skipped.
 */
export function installProblem(works: () => boolean, ...packages: readonly string[]): string | undefined {
  if (works()) return undefined;
  const names = packages.join(' ');
  if (process.getuid?.() !== 0) return `not installed: ${names}`;
  process.stderr.write(`installing ${names}\n`);
  try {
    for (const name of packages) versionOf(name);
    run(['apt-get', 'install', '-y', '-qq', ...WAIT_FOR_LOCK, '--no-install-recommends', ...packages]);
    return undefined;
  } catch (error) {
    if (process.env['CI']) throw error;
    return `cannot be installed: ${names}: ${(error as Error).message}`;
  }
}

/**
 * The folder with the files of the package and its dependencies: `needs`, else those that an installation would add.
 * `processor`: as Debian names another one than that of this machine.
 */
export function unpacked(name: string, needs?: readonly string[], processor?: string): string {
  const lists = processor === undefined ? [] : ownLists(processor);
  const folder = join(CACHE, [name, versionOf(name, lists), ...(processor ? [processor] : [])].join('_'));
  if (existsSync(folder)) return folder;
  process.stderr.write(`downloading ${name}\n`);
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, 'unpacking-'));
  try {
    const download = () =>
      run(['apt-get', 'download', '-qq', ...lists, name, ...(needs ?? missingFor(name))], work);
    try {
      download();
    } catch {
      // The lists may be old, and name files that are gone.
      updateLists(lists);
      download();
    }
    const root = join(work, 'root');
    mkdirSync(root);
    for (const file of readdirSync(work).filter((entry) => entry.endsWith('.deb')))
      run(['dpkg-deb', '-x', file, root], work);
    if (!existsSync(folder)) renameSync(root, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

/** The version of the package that the machine would install. */
export function versionOf(name: string, lists: readonly string[] = []): string {
  const show = () => run(['apt-cache', 'show', '--no-all-versions', ...lists, name]);
  let text: string;
  try {
    text = show();
  } catch {
    // A new machine has no package lists.
    updateLists(lists);
    text = show();
  }
  return (/^Version: (\S+)$/m.exec(text)?.[1] ?? '').replaceAll(':', '_');
}

function updateLists(lists: readonly string[]): void {
  run(['apt-get', 'update', '-qq', ...WAIT_FOR_LOCK, ...lists]);
}

/** Options for package lists of another processor in a folder of their own: the machine's own apt and dpkg know of none. */
function ownLists(processor: string): string[] {
  const folder = join(CACHE, `lists-${processor}`);
  for (const part of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(join(folder, part), { recursive: true });
  return [
    `APT::Architecture=${processor}`,
    `APT::Architectures::=${processor}`,
    `Dir::State=${folder}/state`,
    `Dir::Cache=${folder}/cache`,
    'Dir::State::status=/dev/null',
  ].flatMap((option) => ['-o', option]);
}

function missingFor(name: string): string[] {
  const plan = run(['apt-get', 'install', '--simulate', '--no-install-recommends', name]);
  return [...plan.matchAll(/^Inst (\S+) /gm)]
    .map(([, found = '']) => found)
    .filter((found) => found !== name);
}

function run([command = '', ...args]: readonly string[], cwd?: string): string {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
