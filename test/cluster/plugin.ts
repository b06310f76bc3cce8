/**
 * `kubectl mailrelay` for krew, for the platform of this machine: an archive with the files of the image, the pinned Node and
 * the launcher, and the manifest that names it. The same sources make the same archive. Fails with the words of tar or npm.
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { parseIgnoreFile } from '#test/kit/ignorefile.ts';
import { productionModules, SOURCES } from './image.ts';
import { ownProcessor } from './processors.ts';
import type { Say } from './programs.ts';
import { command } from './supervise.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const OUTPUT = join(ROOT, '.state', 'krew');
const LAUNCHER = 'bin/kubectl-mailrelay';
const COMPLETION = 'bin/kubectl_complete-mailrelay';
const NODE = 'node_modules/node/bin/node';

/** As krew names them. */
export interface Platform {
  readonly os: string;
  readonly arch: string;
}

export interface Release extends Platform {
  readonly version: string;
  /** The address of the archive. */
  readonly uri: string;
  readonly sha256: string;
}

/** Builds both and returns the path of the manifest; the archive lies beside it. `releases`: where archives are published. */
export function buildPlugin(say: Say, releases: string): string {
  const platform = { os: process.platform, arch: ownProcessor() };
  const name = `kubectl-mailrelay-${platform.os}-${platform.arch}.tar.gz`;
  mkdirSync(OUTPUT, { recursive: true });
  const folder = mkdtempSync(join(OUTPUT, 'building-'));
  try {
    assemble(join(folder, 'files'), productionModules(say, ROOT));
    say(`packing ${name}`);
    pack(join(folder, 'files'), join(folder, name));
    renameSync(join(folder, name), join(OUTPUT, name));
  } finally {
    rmSync(folder, { recursive: true });
  }
  const sha256 = createHash('sha256')
    .update(readFileSync(join(OUTPUT, name)))
    .digest('hex');
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const path = join(OUTPUT, 'mailrelay.yaml');
  writeFileSync(path, krewManifest({ ...platform, version, uri: `${releases}/${name}`, sha256 }));
  return path;
}

export function krewManifest({ os, arch, version, uri, sha256 }: Release): string {
  const spec = {
    version: `v${version}`,
    homepage: 'https://mailrelay.dev',
    shortDescription: 'Look after mail relays and their queues',
    description: `Shows what the pods of a MailRelay serve, searches and changes their mail queues, tests
their listeners and their TLS, and says what an edit would restart. It acts by your own rights.
`,
    caveats: `The cluster needs the mailrelay operator. "kubectl mailrelay --help" lists the verbs and the rights.
kubectl completes its words where ${COMPLETION} of the archive is in PATH.
`,
    platforms: [{ selector: { matchLabels: { os, arch } }, uri, sha256, bin: LAUNCHER }],
  };
  const head = { apiVersion: 'krew.googlecontainertools.github.com/v1alpha2', kind: 'Plugin' };
  return stringify({ ...head, metadata: { name: 'mailrelay' }, spec });
}

function assemble(folder: string, modules: string): void {
  const isInImage = parseIgnoreFile(readFileSync(join(ROOT, '.dockerignore'), 'utf8'));
  cpSync(modules, join(folder, 'node_modules'), {
    recursive: true,
    filter: (path) => isInImage(`node_modules${path.slice(modules.length)}`),
  });
  for (const name of [...SOURCES, 'package.json', 'LICENSE'])
    cpSync(join(ROOT, name), join(folder, name), {
      recursive: true,
      filter: (path) => isInImage(path.slice(ROOT.length)),
    });
  // krew takes no links.
  for (const [from, to] of [
    ['bin/mailrelay', LAUNCHER],
    ['bin/mailrelay', COMPLETION],
    [NODE, NODE],
  ] as const)
    cpSync(join(ROOT, from), join(folder, to));
}

function pack(folder: string, archive: string): void {
  const same = [
    '--sort=name',
    '--mtime=@0',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--hard-dereference',
  ];
  command('tar', [...same, '--use-compress-program=gzip -n', '-cf', archive, '-C', folder, '.']);
}
