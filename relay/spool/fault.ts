/**
 * Classifies an error of the store. A full disk and a long wait pass by themselves. After any other error of the disk
 * or the file, the store is recovered before the next write. Pure.
 */

/** `damage`: the data cannot be read. `io`: written data may be missing. */
export type Fault = 'full' | 'busy' | 'damage' | 'io' | 'bug';

/** Codes of https://sqlite.org/rescode.html. The low byte of an extended code is the primary code. */
const SQLITE = { busy: 5, locked: 6, corrupt: 11, full: 13, notADatabase: 26 };
const UNREADABLE = new Set([266, 522, 8_202, 8_458]);

export type StoreError = Error & { readonly errcode?: number; readonly code?: string };

export function classifyError({ errcode, code }: StoreError): Fault {
  if (errcode === undefined) return code === undefined || code.startsWith('ERR_') ? 'bug' : 'io';
  const primary = errcode & 0xff;
  if (primary === SQLITE.full) return 'full';
  if (primary === SQLITE.busy || primary === SQLITE.locked) return 'busy';
  const isDamaged = primary === SQLITE.corrupt || primary === SQLITE.notADatabase || UNREADABLE.has(errcode);
  return isDamaged ? 'damage' : 'io';
}

/** The text of the notice for all processes, and its parser. */
export function formatNotice(fault: Fault, { message }: Error): string {
  return `${fault}: ${message}`;
}

export function tellsOfDamage(notice: string): boolean {
  return /^damage: /m.test(notice);
}
