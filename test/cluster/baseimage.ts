/**
 * The two images that the Dockerfile begins with, where no registry is at hand. One has the Node that the project pins. The
 * other is small: the shared libraries that Node names, a user,
 * a folder for temporary files, and a shell for a person inside.
 */
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Say } from './programs.ts';
import { command } from './supervise.ts';

/** References of images: arguments of the Dockerfile. */
export interface BaseImages {
  readonly NODE_IMAGE: string;
  readonly BASE: string;
}

/** Their references in the local store of images. */
export function baseImages(say: Say, node: string): BaseImages {
  const version = command(node, ['--version']).trim().slice(1);
  return {
    NODE_IMAGE: findOrBuild(say, 'node', version, (root) => putNode(root, node)),
    BASE: findOrBuild(say, 'base', version, (root) => putBase(root, node)),
  };
}

function findOrBuild(say: Say, name: string, version: string, assemble: (root: string) => void): string {
  const texts = `${putNode}${putBase}${putLibraries}${putShell}${ACCOUNTS.passwd}${ACCOUNTS.group}`;
  const recipe = createHash('sha256').update(texts).digest('hex').slice(0, 8);
  const reference = `mailrelay.test/${name}:${version}-${recipe}`;
  const found = command('buildah', ['images', '--quiet', '--filter', `reference=${reference}`]);
  if (found.trim() !== '') return reference;
  say(`building ${reference}`);
  const root = mkdtempSync(join(tmpdir(), `mailrelay-${name}-`));
  try {
    assemble(root);
    command('chmod', ['-R', 'a+rX', root]);
    commit(root, reference);
  } finally {
    rmSync(root, { recursive: true });
  }
  return reference;
}

function putNode(root: string, node: string): void {
  putFile(root, node, '/usr/local/bin/node');
  putLibraries(root, node);
}

function putBase(root: string, node: string): void {
  putLibraries(root, node);
  putShell(root);
  mkdirSync(join(root, 'etc'));
  mkdirSync(join(root, 'tmp'));
  chmodSync(join(root, 'tmp'), 0o1777);
  for (const [name, text] of Object.entries(ACCOUNTS)) writeFileSync(join(root, 'etc', name), text);
}

function putLibraries(root: string, program: string): void {
  for (const library of librariesOf(program)) putFile(root, library, library);
}

export function putFile(root: string, from: string, to: string): void {
  mkdirSync(dirname(join(root, to)), { recursive: true });
  copyFileSync(from, join(root, to));
}

/** A shell, and the tools under their names. */
export function putShell(root: string, ...tools: readonly string[]): void {
  putFile(root, '/bin/busybox', '/bin/busybox');
  for (const tool of ['sh', ...tools]) symlinkSync('busybox', join(root, 'bin', tool));
}

const ACCOUNTS = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\nmailrelay:x:65532:65532:mailrelay:/:/bin/sh\n',
  group: 'root:x:0:\nmailrelay:x:65532:\n',
};

function commit(root: string, reference: string): void {
  const container = command('buildah', ['from', 'scratch']).trim();
  command('buildah', ['copy', '--quiet', container, root, '/']);
  command('buildah', ['config', '--env', 'PATH=/usr/local/bin:/bin', container]);
  command('buildah', ['commit', '--quiet', '--rm', container, reference]);
}

/** Absolute paths of the shared libraries and the loader that a program names. `folder`: where some of them are. */
export function librariesOf(program: string, folder = ''): string[] {
  return [...command('env', [`LD_LIBRARY_PATH=${folder}`, 'ldd', program]).matchAll(/(\/\S+) \(0x/g)].map(
    ([, path]) => path ?? '',
  );
}
