/**
 * The project's image, made without an image registry: the Dockerfile over a context of production dependencies and
 * sources. Dependencies are cached by the lock file and are a layer of their own, so that a changed source costs
 * seconds. The archive is written whole or not at all; the last few are kept. Fails with buildah's own words.
 */
import { createHash, type Hash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { type BaseImages, baseImages } from './baseimage.ts';
import { demand } from './packages.ts';
import { ownProcessor, processorOf } from './processors.ts';
import { cacheDir, type Say } from './programs.ts';
import { command } from './supervise.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const NODE = join(ROOT, 'node_modules', 'node', 'bin', 'node');
const DOCKERFILE = join(ROOT, 'Dockerfile');
const IGNORE = join(ROOT, '.dockerignore');
const LICENSE = join(ROOT, 'LICENSE');
const BASE_RECIPES = ['baseimage.ts', 'processors.ts'].map((name) => join(ROOT, 'test', 'cluster', name));
export const SOURCES = ['crds', 'relay', 'operator', 'cli'];
const MANIFESTS = ['package.json', 'package-lock.json'];
const REPOSITORY = 'mailrelay.test/mailrelay';
const KEPT_ARCHIVES = 4;
const NOT_EMULATED =
  'This machine runs no programs for that processor: install QEMU (on Debian: apt-get install qemu-user-static binfmt-support), or build on a machine that has it';

export interface Image {
  readonly repository: string;
  /** Hash of everything that is in it. */
  readonly tag: string;
  /** A docker-archive, for `ctr images import`. */
  readonly archive: string;
}

/** What the Dockerfile leaves open. Without `images` they are made here, of this machine's files. */
export interface ImageOptions {
  readonly images?: Partial<BaseImages>;
  /** The commit that the image is made of, for its labels. */
  readonly revision?: string;
  /** As buildah names it: linux/arm64. Default: that of this machine. */
  readonly platform?: string;
}

/** Builds the image of the checkout, or of the folder `sources`. */
export function buildImage(say: Say, sources = ROOT, options: ImageOptions = {}): Image {
  const { images = {}, revision, platform } = options;
  const processor = platform === undefined ? ownProcessor() : processorOf(platform);
  const parts = [...SOURCES, ...MANIFESTS].map((name) => join(sources, name));
  const tag = digestOf(
    [...parts, DOCKERFILE, IGNORE, ...BASE_RECIPES],
    JSON.stringify([images, revision, processor]),
  );
  const archive = join(imagesDir(), `mailrelay-${tag}.tar`);
  if (!existsSync(archive)) {
    const isBased = images.NODE_IMAGE !== undefined && images.BASE !== undefined;
    demand('buildah', ...(isBased ? [] : ['busybox']));
    const begin = {
      ...(isBased ? {} : baseImages(say, processor, NODE)),
      ...images,
    };
    const modules = productionModules(say, sources);
    say('building the image');
    const context = makeContext(sources, modules);
    try {
      build(context, `${REPOSITORY}:${tag}`, archive, [
        ...Object.entries(begin).map(([name, reference]) => `--build-arg=${name}=${reference}`),
        ...(revision ? [`--label=org.opencontainers.image.revision=${revision}`] : []),
        `--platform=linux/${processor}`,
        // An image of this machine is in no registry; another one is fetched where it is missing.
        '--pull=missing',
      ]);
    } finally {
      rmSync(context, { recursive: true });
    }
    forgetOldImages();
  }
  return { repository: REPOSITORY, tag, archive };
}

function imagesDir(): string {
  const dir = join(cacheDir(), 'images');
  mkdirSync(dir, { recursive: true });
  return dir;
}

function build(context: string, reference: string, archive: string, options: readonly string[]): void {
  try {
    // With layers, what did not change is neither made nor unpacked again.
    command('buildah', [
      ...['bud', '--isolation', 'chroot', '--layers', '--quiet', '--tag', reference],
      ...['--file', DOCKERFILE, '--ignorefile', IGNORE, ...options, context],
    ]);
  } catch (error) {
    throw /exec format error/i.test((error as Error).message) ? new Error(NOT_EMULATED) : error;
  }
  const scratch = join(context, 'archive');
  command('buildah', ['push', '--quiet', reference, `docker-archive:${scratch}:${reference}`]);
  renameSync(scratch, archive);
}

/** A folder with what the Dockerfile copies, and with what is left out of it. */
function makeContext(sources: string, modules: string): string {
  const context = mkdtempSync(join(imagesDir(), 'context-'));
  // Links instead of copies: thousands of files that nobody changes.
  command('cp', ['--archive', '--link', modules, join(context, 'node_modules')]);
  for (const name of [...SOURCES, ...MANIFESTS])
    cpSync(join(sources, name), join(context, name), { recursive: true });
  cpSync(LICENSE, join(context, 'LICENSE'));
  command('chmod', ['-R', 'a+rX', context]);
  return context;
}

/** Their folder, `node_modules` itself. */
export function productionModules(say: Say, sources: string): string {
  const manifests = MANIFESTS.map((name) => join(sources, name));
  const dir = join(imagesDir(), `modules-${digestOf(manifests)}`);
  if (!existsSync(dir)) {
    say('installing the production dependencies for the image');
    const scratch = mkdtempSync(`${dir}.installing-`);
    for (const name of MANIFESTS) cpSync(join(sources, name), join(scratch, name));
    const options = ['--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'];
    command('npm', ['ci', ...options, '--prefix', scratch]);
    renameSync(scratch, dir);
  }
  return join(dir, 'node_modules');
}

/** Keeps what the last builds made: anything older is made again when it is wanted. */
function forgetOldImages(): void {
  const made = (path: string) => statSync(path).mtimeMs;
  const archives = readdirSync(imagesDir())
    .filter((name) => /^mailrelay-\w+\.tar$/.test(name))
    .map((name) => join(imagesDir(), name))
    .toSorted((a, b) => made(b) - made(a));
  for (const archive of archives.slice(KEPT_ARCHIVES)) {
    rmSync(archive);
    const tag = archive.slice(archive.lastIndexOf('-') + 1, -'.tar'.length);
    try {
      command('buildah', ['rmi', `${REPOSITORY}:${tag}`]);
    } catch {
      // It was removed by hand.
    }
  }
}

function digestOf(paths: readonly string[], options = ''): string {
  const hash = createHash('sha256').update(options);
  for (const path of paths) addTo(hash, path);
  return hash.digest('hex').slice(0, 16);
}

function addTo(hash: Hash, path: string): void {
  if (path.endsWith('.test.ts')) return;
  hash.update(path.slice(path.lastIndexOf('/')));
  if (statSync(path).isDirectory())
    for (const name of readdirSync(path).toSorted()) addTo(hash, join(path, name));
  else hash.update(readFileSync(path));
}
