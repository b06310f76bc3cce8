/**
 * A base for the project's image where no registry is at hand: the Node that the project pins, the shared libraries
 * that it names, a user, and a shell for whoever looks inside. It stands for the public Node image of the Dockerfile.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Say } from './programs.ts';
import { command } from './supervise.ts';

/** Its reference in the local store of images. */
export function baseImage(say: Say, node: string): string {
  const version = command(node, ['--version']).trim().slice(1);
  const recipe = createHash('sha256').update(`${assemble}${putShell}${ACCOUNTS}`).digest('hex').slice(0, 8);
  const reference = `mailrelay.test/node:${version}-${recipe}`;
  const found = command('buildah', ['images', '--quiet', '--filter', `reference=${reference}`]);
  if (found.trim() !== '') return reference;
  say('building the base image');
  const root = mkdtempSync(join(tmpdir(), 'mailrelay-base-'));
  try {
    assemble(root, node);
    commit(root, reference);
  } finally {
    rmSync(root, { recursive: true });
  }
  return reference;
}

function assemble(root: string, node: string): void {
  putFile(root, node, '/usr/local/bin/node');
  for (const library of librariesOf(node)) putFile(root, library, library);
  putShell(root);
  mkdirSync(join(root, 'etc'));
  for (const [name, text] of Object.entries(ACCOUNTS)) writeFileSync(join(root, 'etc', name), text);
  command('chmod', ['-R', 'a+rX', root]);
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
