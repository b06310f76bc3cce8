/**
 * The mounted files, as contents. A kubelet swaps the link `..data` and leaves times alone, so contents are compared,
 * never times; both halves of a pair come from one resolved folder, so that they are of one issue. What cannot be read
 * is a value, not an exception.
 */
import { createHash } from 'node:crypto';
import { type FSWatcher, readdirSync, readFileSync, realpathSync, watch } from 'node:fs';
import { join } from 'node:path';
import { POLICY_FILE_NAME } from '#crds/policyfile.ts';
import { SCALE_FILE_NAME } from '#crds/scalefile.ts';
import type { Files, Materials } from '../task/materials.ts';

export interface InputDirs {
  readonly policyDir: string;
  readonly certificateDir: string;
  /** A folder for each Secret, and each ConfigMap, that the policy names. */
  readonly secretsDir: string;
  readonly configMapsDir: string;
}

export interface Inputs {
  readonly policy: string | undefined;
  readonly scale: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly materials: Materials;
}

export function readInputs({ policyDir, certificateDir, secretsDir, configMapsDir }: InputDirs): Inputs {
  const [orderDir, pairDir] = [resolvedFolder(policyDir), resolvedFolder(certificateDir)];
  return {
    policy: textOf(join(orderDir, POLICY_FILE_NAME)),
    scale: textOf(join(orderDir, SCALE_FILE_NAME)),
    cert: textOf(join(pairDir, 'tls.crt')),
    key: textOf(join(pairDir, 'tls.key')),
    materials: { secrets: foldersOf(secretsDir), configMaps: foldersOf(configMapsDir) },
  };
}

/** A word that changes with the contents. */
export function digestOf(inputs: Inputs): string {
  return createHash('sha256').update(JSON.stringify(inputs)).digest('hex');
}

/**
 * Calls back soon after a file may have changed, and in any case every few seconds: watchers miss link swaps and die
 * with the folder that they watched. Returns how to stop.
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
    watchers = watchedFolders(dirs).flatMap((dir) => watcherOf(dir, hint));
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

function watcherOf(dir: string, hint: () => void): FSWatcher[] {
  try {
    const watcher = watch(dir, hint);
    watcher.on('error', () => watcher.close());
    return [watcher];
  } catch {
    // Not mounted: the poll finds it when it appears.
    return [];
  }
}

function resolvedFolder(dir: string): string {
  try {
    return realpathSync(join(dir, '..data'));
  } catch {
    return dir;
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The folders whose links a kubelet swaps: those of the objects lie one deeper. */
function watchedFolders({ policyDir, certificateDir, secretsDir, configMapsDir }: InputDirs): string[] {
  const parents = [secretsDir, configMapsDir];
  return [
    policyDir,
    certificateDir,
    ...parents,
    ...parents.flatMap((dir) => namesIn(dir).map((name) => join(dir, name))),
  ];
}

function foldersOf(dir: string): Readonly<Record<string, Files>> {
  return Object.fromEntries(namesIn(dir).map((name) => [name, filesOf(resolvedFolder(join(dir, name)))]));
}

function filesOf(dir: string): Files {
  return Object.fromEntries(
    namesIn(dir).flatMap((name) => {
      const text = textOf(join(dir, name));
      return text === undefined ? [] : [[name, text]];
    }),
  );
}

/** Sorted, without what a kubelet keeps for itself; none where there is no such folder. */
function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir)
      .filter((name) => !name.startsWith('..'))
      .toSorted();
  } catch {
    return [];
  }
}
