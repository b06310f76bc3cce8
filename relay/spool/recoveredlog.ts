/**
 * The log while recovery works on it: it is written into a fresh file, the rows behind its break are entered into the tables,
 * and it is cut at its end. Until the entered rows are on disk the log is kept as it was. Errors of the disk are thrown,
 * except where a full disk must not stop a start.
 */
import { existsSync, fdatasyncSync, renameSync, rmSync } from 'node:fs';
import { classifyError, type StoreError } from './fault.ts';
import { copyDurably, syncFolder } from './files.ts';
import { cutLog, readLog } from './logfile.ts';
import { OpenStore } from './openstore.ts';
import { enterMissing, rowsBehindBreak } from './salvage.ts';
import type { Row } from './sqlitefile.ts';

/** SQLite writes its first frames over these rows. So a kill or a loss of power meanwhile needs the log as it was. */
export function enterInto(path: string, rows: readonly Row[], mayStay: boolean): number {
  if (!existsSync(nameKept(path))) copyLog(`${path}-wal`, nameKept(path), mayStay);
  const store = new OpenStore(path, 'late');
  try {
    const messages = enterMissing(store, rows);
    fdatasyncSync(store.log);
    return messages;
  } finally {
    store.close();
  }
}

function nameKept(path: string): string {
  return `${path}-wal.behind`;
}

/** Their entering was ended. Nobody has taken or delivered mail since. */
export function rowsOfKept(path: string): Row[] {
  return existsSync(nameKept(path)) ? rowsBehindBreak(path, nameKept(path)) : [];
}

/** Nobody may deliver before it has gone for good: what it has would come back. */
export function forgetKept(path: string): void {
  if (!existsSync(nameKept(path))) return;
  rmSync(nameKept(path));
  syncFolder(path);
}

export function renewLog(log: string, mayStay: boolean): void {
  if (existsSync(log)) copyLog(log, log, mayStay);
}

/** `mayStay`: no error is known, and a full disk must not stop the start. */
function copyLog(log: string, to: string, mayStay: boolean): void {
  const fresh = `${to}.new`;
  try {
    copyDurably(log, fresh);
    renameSync(fresh, to);
    syncFolder(to);
  } catch (error) {
    rmSync(fresh, { force: true });
    throwUnless(mayStay, error);
  }
}

/** What stays behind the end would look like frames behind a break, as soon as a shorter transaction lies before it. */
export function endLog(log: string, mayStay: boolean): void {
  try {
    cutLog(log, (file) => readLog(file).end);
  } catch (error) {
    throwUnless(mayStay, error);
  }
}

function throwUnless(mayStay: boolean, error: unknown): void {
  if (!mayStay || classifyError(error as StoreError) === 'bug') throw error;
}
