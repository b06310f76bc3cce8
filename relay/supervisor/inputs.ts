/**
 * The contents of the mounted files. A kubelet swaps the link `..data` and does not change file times, so contents are
 * compared and never times. All files of a folder come from one state of it, so those of a pair belong together. A missing
 * or unreadable file is a value. Where the system has no means to read now, the look throws: that no file is there would be
 * false, and clients would be refused for it.
 */
import { createHash } from 'node:crypto';
import { type FSWatcher, readdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { AUTHORITIES_FILE_NAME } from '#crds/authoritiesfile.ts';
import { POLICY_FILE_NAME, type Policy } from '#crds/policyfile.ts';
import { SCALE_FILE_NAME } from '#crds/scalefile.ts';
import { describeFileError, lacksMeans } from '#crds/systemwords.ts';
import type { Files, Materials } from '../task/materials.ts';
import { findTableFiles, listWantedTables, readBehind, type TableFiles } from './tablefiles.ts';

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
  const order = readBehind(policyDir, (folder) => ({
    policy: readText(join(folder, POLICY_FILE_NAME)),
    scale: readText(join(folder, SCALE_FILE_NAME)),
    authorities: readText(join(folder, AUTHORITIES_FILE_NAME)),
  }));
  const wanted = listWantedTables(order.policy, inForce);
  return {
    ...order,
    ...readPair(certificateDir),
    next: readNext(nextCertificateDir),
    materials: {
      secrets: readFolders(secretsDir, wanted.only.Secret),
      configMaps: readFolders(configMapsDir, wanted.only.ConfigMap),
    },
    tables: findTableFiles(wanted.tables, { Secret: secretsDir, ConfigMap: configMapsDir }),
  };
}

function readPair(dir: string): PairFiles {
  return readBehind(dir, (folder) => ({
    cert: readText(join(folder, 'tls.crt')),
    key: readText(join(folder, 'tls.key')),
  }));
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
    try {
      watchers = watchedFolders(dirs).flatMap((dir) => watchFolder(dir, hint));
    } catch {
      // No means to read now. The poll finds every change, and the folders are listed again.
    }
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
  } catch (error) {
    if (lacksMeans(error)) throw describeFileError('read', path, error);
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
    namesIn(dir).map((name) => [name, onlyTables.has(name) ? {} : readBehind(join(dir, name), readFiles)]),
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
  } catch (error) {
    if (lacksMeans(error)) throw describeFileError('read', dir, error);
    return [];
  }
}
