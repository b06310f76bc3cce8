/** Says why a file of the spool cannot be opened, with the cure, and makes its folders. Errors of SQLite count as well. */
import { mkdirSync } from 'node:fs';
import { describeSystemError, nameSystemError } from '#crds/systemwords.ts';
import { classifyError, type StoreError } from './fault.ts';

/** Codes of https://sqlite.org/rescode.html. */
const SQLITE = { noPermission: 3, readOnly: 8, cannotOpen: 14, notADatabase: 26 };
const ROOM = 'make room on its volume';
const RIGHTS = 'let the user of the relay read and write it';
const AWAY = 'move it away';
/** A file, or a link that leads nowhere. */
const NO_FOLDER = new Set<unknown>(['EEXIST', 'ENOENT', 'ENOTDIR']);
const CURES: Readonly<Record<string, string>> = {
  ENOSPC: ROOM,
  EDQUOT: ROOM,
  EACCES: RIGHTS,
  EPERM: RIGHTS,
  EROFS: RIGHTS,
  EISDIR: AWAY,
};

export function cannotOpen(path: string, error: StoreError): Error {
  const { path: culprit = path } = error as NodeJS.ErrnoException;
  const named = culprit === path ? '' : `"${culprit}": `;
  return new Error(`Cannot open the queue in "${path}": ${named}${explain(error)}`, { cause: error });
}

export function cannotLock(path: string, error: StoreError): Error {
  return new Error(`Cannot lock "${path}": ${explain(error)}`, { cause: error });
}

/** Throws one sentence. */
export function makeOwnFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const why = NO_FOLDER.has((error as StoreError).code)
      ? `it is no folder: ${AWAY}`
      : explain(error as Error);
    throw new Error(`Cannot use the folder "${path}": ${why}`, { cause: error });
  }
}

/** An error that is not known speaks for itself. */
function explain(error: StoreError): string {
  const { errcode, message } = error;
  if (errcode !== undefined) return explainSqlite(error, errcode & 0xff) ?? message;
  const cure = CURES[nameSystemError(error)];
  return cure === undefined ? message : `${describeSystemError(error)}: ${cure}`;
}

function explainSqlite(error: StoreError, primary: number): string | undefined {
  if (classifyError(error) === 'full') return `the disk is full: ${ROOM}`;
  if (primary === SQLITE.notADatabase) return `the file is not one of a relay: ${AWAY}`;
  const isRefused = [SQLITE.noPermission, SQLITE.readOnly, SQLITE.cannotOpen].includes(primary);
  return isRefused
    ? `it, or a file beside it with the same name, cannot be opened for writing: ${RIGHTS}`
    : undefined;
}
