/**
 * Classifies an error of the store. A full disk and a long wait pass by themselves. After any other error of the disk
 * or the file, the store is recovered before the next write. Pure.
 */

/**
 * `damage`: the content of the file is wrong. `unreadable`: a read failed, and the next one may not. `io`: written data
 * may be missing.
 */
export type Fault = 'full' | 'busy' | 'damage' | 'unreadable' | 'io' | 'bug';

/** Codes of https://sqlite.org/rescode.html. The low byte of an extended code is the primary code. */
const SQLITE = {
  busy: 5,
  locked: 6,
  corrupt: 11,
  full: 13,
  notADatabase: 26,
  failedRead: 266,
  failedWrite: 778,
};
/** The second one: there is no room for the index of the log, which takes 32 KiB for each 16 MiB of the log. */
const FULL = [SQLITE.full, 4_874];
/** SQLite's own words for the second one are "corrupt file system", but it means each EIO and ENXIO of a read. */
const READ_ERRORS = [SQLITE.failedRead, 8_458];
/** A short read, and a wrong checksum. */
const DAMAGE = new Set([522, 8_202]);

export type StoreError = Error & { readonly errcode?: number; readonly code?: string };

export function classifyError({ errcode, code }: StoreError): Fault {
  if (errcode === undefined) return code === undefined || code.startsWith('ERR_') ? 'bug' : 'io';
  const primary = errcode & 0xff;
  if (FULL.includes(errcode)) return 'full';
  if (primary === SQLITE.busy || primary === SQLITE.locked) return 'busy';
  if (READ_ERRORS.includes(errcode)) return 'unreadable';
  const isDamaged = primary === SQLITE.corrupt || primary === SQLITE.notADatabase || DAMAGE.has(errcode);
  return isDamaged ? 'damage' : 'io';
}

/** SQLite tells a quota that is used up as a failed write, and a full disk as what it is. */
export function mayBeQuota({ errcode }: StoreError): boolean {
  return errcode === SQLITE.failedWrite;
}

export function asFull(error: StoreError): StoreError {
  return Object.assign(error, { errcode: SQLITE.full, message: 'the share of the disk is used up' });
}

/** What was read is not what was written. */
export function asUnreadable(error: Error): StoreError {
  return Object.assign(error, { errcode: SQLITE.failedRead });
}

/** True if the store must be read from another handle, and perhaps from another file, before it is read again. */
export function isAboutContent(fault: Fault): fault is 'damage' | 'unreadable' {
  return fault === 'damage' || fault === 'unreadable';
}

/** The text of the notice for all processes. Its readers follow. */
export function formatNotice(error: StoreError): string {
  const fault = classifyError(error);
  return `${isAboutContent(fault) ? fault : 'io'}: ${error.message}`;
}

export function tellsOfDamage(notice: string): boolean {
  return /^damage: /m.test(notice);
}

export function tellsOfUnreadable(notice: string): boolean {
  return /^unreadable: /m.test(notice);
}

export function tellsOfWrite(notice: string): boolean {
  return /^io: /m.test(notice);
}

/** A check of the whole store reports a read that failed as if the store were damaged. */
export function isReadError(problem: string): boolean {
  return READ_ERRORS.some((code) => new RegExp(`error code=${code}\\b`).test(problem));
}
