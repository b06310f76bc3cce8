/**
 * The mounted files, as contents. A kubelet swaps the link `..data` and leaves times alone, so contents are compared,
 * never times; both halves of a pair come from one resolved folder, so that they are of one issue. What cannot be read
 * is a value, not an exception.
 */
import { createHash } from 'node:crypto';
import { type FSWatcher, readdirSync, readFileSync, realpathSync, watch } from 'node:fs';
import { join } from 'node:path';
import { POLICY_FILE_NAME } from '#crds/policyfile.ts';

export interface InputDirs {
  readonly policyDir: string;
  readonly certificateDir: string;
  readonly trustDir: string;
}

export interface Inputs {
  readonly policy: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** All files of the trust folder after each other; null when there is none. */
  readonly trust: string | null;
}

export function readInputs({ policyDir, certificateDir, trustDir }: InputDirs): Inputs {
  const pairDir = resolvedFolder(certificateDir);
  return {
    policy: textOf(join(resolvedFolder(policyDir), POLICY_FILE_NAME)),
    cert: textOf(join(pairDir, 'tls.crt')),
    key: textOf(join(pairDir, 'tls.key')),
    trust: trustOf(resolvedFolder(trustDir)),
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
    watchers = Object.values(dirs).flatMap((dir: string) => watcherOf(dir, hint));
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

function trustOf(dir: string): string | null {
  try {
    const names = readdirSync(dir).filter((name) => !name.startsWith('.'));
    const texts = names.toSorted().map((name) => textOf(join(dir, name)) ?? '');
    return texts.length === 0 ? null : texts.join('\n');
  } catch {
    return null;
  }
}
