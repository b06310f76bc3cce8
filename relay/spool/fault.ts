/**
 * What an error of the store means. A full disk and a long wait pass; after anything else that the disk or the file did,
 * the store is recovered before it is written again. Pure.
 */

/** `damage`: what is there cannot be read. `io`: what was written may not be there. */
export type Fault = 'full' | 'busy' | 'damage' | 'io' | 'bug';

/** Of https://sqlite.org/rescode.html; extended ones carry the primary one in their low byte. */
const SQLITE = { busy: 5, locked: 6, corrupt: 11, full: 13, notADatabase: 26 };
const UNREADABLE = new Set([266, 522, 8_202, 8_458]);

export type StoreError = Error & { readonly errcode?: number; readonly code?: string };

export function faultOf({ errcode, code }: StoreError): Fault {
  if (errcode === undefined) return code === undefined || code.startsWith('ERR_') ? 'bug' : 'io';
  const primary = errcode & 0xff;
  if (primary === SQLITE.full) return 'full';
  if (primary === SQLITE.busy || primary === SQLITE.locked) return 'busy';
  const isDamaged = primary === SQLITE.corrupt || primary === SQLITE.notADatabase || UNREADABLE.has(errcode);
  return isDamaged ? 'damage' : 'io';
}

/** As it is posted for all processes, and read back. */
export function noticeOf(fault: Fault, { message }: Error): string {
  return `${fault}: ${message}`;
}

export function tellsOfDamage(notice: string): boolean {
  return /^damage: /m.test(notice);
}
