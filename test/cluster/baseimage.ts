/**
 * The two images that the Dockerfile begins with, where no registry is at hand. One has the Node that the project pins. The
 * other is small: the shared libraries that Node names, a user,
 * a folder for temporary files, and a shell for a person inside.
 */
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type BaseFiles, BUSYBOX, baseFiles, type Processor } from './processors.ts';
import type { Say } from './programs.ts';
import { command } from './supervise.ts';

/** References of images: arguments of the Dockerfile. */
export interface BaseImages {
  readonly NODE_IMAGE: string;
  readonly BASE: string;
}

/** Their references in the local store of images. `node` is this machine's. */
export function baseImages(say: Say, processor: Processor, node: string): BaseImages {
  const version = command(node, ['--version']).trim().slice(1);
  const make = (name: string, put: (root: string, files: BaseFiles) => void) =>
    findOrBuild(say, { name, version, processor }, (root) => put(root, baseFiles(say, processor, node)));
  return { NODE_IMAGE: make('node', putNode), BASE: make('base', putBase) };
}

interface Wanted {
  readonly name: string;
  readonly version: string;
  readonly processor: Processor;
}

function findOrBuild(
  say: Say,
  { name, version, processor }: Wanted,
  assemble: (root: string) => void,
): string {
  const texts = `${baseFiles}${putNode}${putBase}${putLibraries}${putShell}${ACCOUNTS.passwd}${ACCOUNTS.group}`;
  const recipe = createHash('sha256').update(texts).digest('hex').slice(0, 8);
  const reference = `mailrelay.test/${name}:${version}-${processor}-${recipe}`;
  const found = command('buildah', ['images', '--quiet', '--filter', `reference=${reference}`]);
  if (found.trim() !== '') return reference;
  say(`building ${reference}`);
  const root = mkdtempSync(join(tmpdir(), `mailrelay-${name}-`));
  try {
    assemble(root);
    command('chmod', ['-R', 'a+rX', root]);
    commit(root, processor, reference);
  } finally {
    rmSync(root, { recursive: true });
  }
  return reference;
}

function putNode(root: string, files: BaseFiles): void {
  putFile(root, files.node, '/usr/local/bin/node');
  putLibraries(root, files);
}

function putBase(root: string, files: BaseFiles): void {
  putLibraries(root, files);
  putShell(root, files.busybox);
  mkdirSync(join(root, 'etc'));
  mkdirSync(join(root, 'tmp'));
  chmodSync(join(root, 'tmp'), 0o1777);
  for (const [name, text] of Object.entries(ACCOUNTS)) writeFileSync(join(root, 'etc', name), text);
}

function putLibraries(root: string, { libraries }: BaseFiles): void {
  for (const [place, library] of libraries) putFile(root, library, place);
}

export function putFile(root: string, from: string, to: string): void {
  mkdirSync(dirname(join(root, to)), { recursive: true });
  copyFileSync(from, join(root, to));
}

/** A shell, and the tools under their names. */
export function putShell(root: string, busybox: string, ...tools: readonly string[]): void {
  putFile(root, busybox, BUSYBOX);
  for (const tool of ['sh', ...tools]) symlinkSync('busybox', join(root, 'bin', tool));
}

const ACCOUNTS = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\nmailrelay:x:65532:65532:mailrelay:/:/bin/sh\n',
  group: 'root:x:0:\nmailrelay:x:65532:\n',
};

function commit(root: string, processor: Processor, reference: string): void {
  const container = command('buildah', ['from', 'scratch']).trim();
  command('buildah', ['copy', '--quiet', container, root, '/']);
  command('buildah', ['config', '--arch', processor, '--env', 'PATH=/usr/local/bin:/bin', container]);
  command('buildah', ['commit', '--quiet', '--rm', container, reference]);
}
