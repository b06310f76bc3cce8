/**
 * The contents of the mounted files. A kubelet swaps the link `..data` and does not change file times, so contents are
 * compared and never times. Both files of a pair come from one resolved folder, so they belong together. An unreadable
 * file is a value, not an exception.
 */
import { createHash } from 'node:crypto';
import { type FSWatcher, readdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { AUTHORITIES_FILE_NAME } from '#crds/authoritiesfile.ts';
import { POLICY_FILE_NAME, type Policy } from '#crds/policyfile.ts';
import { SCALE_FILE_NAME } from '#crds/scalefile.ts';
import type { Files, Materials } from '../task/materials.ts';
import { findTableFiles, listWantedTables, resolvedFolder, type TableFiles } from './tablefiles.ts';

interface PairFiles {
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

export interface InputDirs {
  readonly policyDir: string;
  readonly certificateDir: string;
  readonly nextCertificateDir?: string;
  /** Contains a folder for each Secret that the policy names. `configMapsDir` does the same for ConfigMaps. */
  readonly secretsDir: string;
  readonly configMapsDir: string;
}

export interface Inputs extends PairFiles {
  readonly policy: string | undefined;
  readonly scale: string | undefined;
  readonly authorities: string | undefined;
  /** The pair that will be served next, with the name of its Secret. */
  readonly next: (PairFiles & { readonly secret: string }) | null;
  readonly materials: Materials;
  /** Tables of addresses, which are read only when they change. */
  readonly tables: TableFiles;
}

/** `inForce`: the policy whose tables are needed, even if the mounted policy has others. */
export function readInputs(dirs: InputDirs, inForce?: Policy): Inputs {
  const { policyDir, certificateDir, nextCertificateDir, secretsDir, configMapsDir } = dirs;
  const orderDir = resolvedFolder(policyDir);
  const policy = readText(join(orderDir, POLICY_FILE_NAME));
  const wanted = listWantedTables(policy, inForce);
  return {
    policy,
    scale: readText(join(orderDir, SCALE_FILE_NAME)),
    authorities: readText(join(orderDir, AUTHORITIES_FILE_NAME)),
    ...readPair(certificateDir),
    next: readNext(nextCertificateDir),
    materials: {
      secrets: readFolders(secretsDir, wanted.only.Secret),
      configMaps: readFolders(configMapsDir, wanted.only.ConfigMap),
    },
    tables: findTableFiles(wanted.tables, { Secret: secretsDir, ConfigMap: configMapsDir }),
  };
}

function readPair(folder: string): PairFiles {
  const dir = resolvedFolder(folder);
  return { cert: readText(join(dir, 'tls.crt')), key: readText(join(dir, 'tls.key')) };
}

function readNext(folder: string | undefined): Inputs['next'] {
  const [secret] = folder === undefined ? [] : namesIn(folder);
  return folder === undefined || secret === undefined ? null : { secret, ...readPair(join(folder, secret)) };
}

/** A digest that changes with the contents. */
export function computeDigest(inputs: Inputs): string {
  return createHash('sha256').update(JSON.stringify(inputs)).digest('hex');
}

/**
 * Calls `look` soon after a file may have changed, and also every few seconds, because a watcher misses link swaps and
 * ends with its folder. Returns a function that stops it.
 */
export function watchInputs(dirs: InputDirs, look: () => void, everyMs = 2_000): () => void {
  let watchers: FSWatcher[] = [];
  let soon: NodeJS.Timeout | undefined;
  const hint = () => {
    clearTimeout(soon);
    soon = setTimeout(look, 50);
  };
  const arm = () => {
    for (const watcher of watchers) watcher.close();
    watchers = watchedFolders(dirs).flatMap((dir) => watchFolder(dir, hint));
  };
  arm();
  const poll = setInterval(look, everyMs);
  const rearm = setInterval(arm, 60_000);
  return () => {
    clearTimeout(soon);
    clearInterval(poll);
    clearInterval(rearm);
    for (const watcher of watchers) watcher.close();
  };
}

function watchFolder(dir: string, hint: () => void): FSWatcher[] {
  try {
    const watcher = watch(dir, hint);
    watcher.on('error', () => watcher.close());
    return [watcher];
  } catch {
    // Not mounted yet. The poll finds it later.
    return [];
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The folders whose links a kubelet swaps. The folders of the objects are one level deeper. */
function watchedFolders(dirs: InputDirs): string[] {
  const { policyDir, certificateDir, nextCertificateDir, secretsDir, configMapsDir } = dirs;
  const parents = [
    secretsDir,
    configMapsDir,
    ...(nextCertificateDir === undefined ? [] : [nextCertificateDir]),
  ];
  return [
    policyDir,
    certificateDir,
    ...parents,
    ...parents.flatMap((dir) => namesIn(dir).map((name) => join(dir, name))),
  ];
}

/** A folder that has only tables stays unread. */
function readFolders(dir: string, onlyTables: ReadonlySet<string>): Readonly<Record<string, Files>> {
  return Object.fromEntries(
    namesIn(dir).map((name) => [
      name,
      onlyTables.has(name) ? {} : readFiles(resolvedFolder(join(dir, name))),
    ]),
  );
}

function readFiles(dir: string): Files {
  return Object.fromEntries(
    namesIn(dir).flatMap((name) => {
      const text = readText(join(dir, name));
      return text === undefined ? [] : [[name, text]];
    }),
  );
}

/** Sorted names without the kubelet's own files. Empty if the folder does not exist. */
function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir)
      .filter((name) => !name.startsWith('..'))
      .toSorted();
  } catch {
    return [];
  }
}
