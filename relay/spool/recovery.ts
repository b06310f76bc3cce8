/**
 * Recovers the store while no process has it open: at each start, where all who had it were killed, and after an error before the
 * next write. Recovery
 * writes the log into a fresh file. After a failed sync the kernel may show pages that never reached the disk, so the
 * log is read past the kernel's cache if the file system can do that. The log is cut at the first broken frame, where
 * SQLite ends it. After a write or a sync that failed, every acknowledged message lies before that frame. In any other case
 * the messages in whole frames behind it are entered first (recoveredlog.ts). A store with a damaged structure, or with a page that stays
 * unreadable, is renamed, and its readable content goes into a new store. So is a log whose file is gone, and the journal
 * of another store. What was seen once proves nothing: the store is looked through again first, from a fresh handle. The
 * next start finishes a recovery that was killed. Recovery throws if it cannot do its work.
 */
import { appendFileSync, existsSync, lstatSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import {
  classifyError,
  isAboutContent,
  isReadError,
  type StoreError,
  tellsOfDamage,
  tellsOfUnreadable,
  tellsOfWrite,
} from './fault.ts';
import { findUnreadable, syncFolder } from './files.ts';
import { type Check, findProblem, OpenStore } from './openstore.ts';
import { endLog, enterInto, forgetKept, renewLog, rowsOfKept } from './recoveredlog.ts';
import { rowsBehindBreak, type Salvaged, salvage } from './salvage.ts';
import { PAGE_BYTES, type Row } from './sqlitefile.ts';

export type Recovered =
  /** There was no store beside these body files. */
  | { kind: 'begun-anew'; bodies: number }
  /** Another process has recovered the store. */
  | { kind: 'reopened' }
  | { kind: 'log-renewed'; reason: string }
  /** The number of messages found behind an unreadable part of the log. */
  | { kind: 'log-damaged'; messages: number }
  /** The new name of the damaged store. */
  | ({ kind: 'rebuilt'; reason: string; setAside: string } & Salvaged);

/**
 * At a start, a store up to this size is checked completely, which takes a second. Of a larger store only the free list is
 * checked, because what is written next lies on its pages. The rest shows its damage when it is read.
 */
const LOOKED_THROUGH_BYTES = 64 * 2 ** 20;

/** What SQLite reads of a store. */
const PARTS = ['', '-wal', '-journal'];

/** Two false alarms in this time are taken for damage. Two that are further apart have nothing to do with each other. */
const DOUBT_MS = 3_600_000;

/**
 * `notice`: the posted text. Empty at a start without a known error. `onReplace` is called before another store gets the
 * name of the damaged one. If it throws, the next call goes on there.
 */
export function recover(
  path: string,
  notice: string,
  onReplace = (): void => undefined,
): Recovered | undefined {
  refuseLink(path);
  removeStore(`${path}.building`);
  const finished = finishRebuild(path, onReplace);
  setJournalAside(path);
  const isLost = !holdsBytes(path) && hasLog(path);
  // Without its file, the log is read as that of an empty one. SQLite would delete it.
  if (isLost) appendFileSync(path, '');
  if (!existsSync(path)) return undefined;
  renewLog(`${path}-wal`, notice === '');
  // After an error of a write or a sync, rows behind the break were not acknowledged. Without one they may have been, and
  // so may all of a log whose file is gone.
  const behind = [...(isLost || !tellsOfWrite(notice) ? rowsBehindBreak(path) : []), ...rowsOfKept(path)];
  const damage = isLost ? 'its file is missing or empty, and its log is not' : findDamage(path, notice);
  if (damage !== undefined) return rebuild(path, damage.trim(), behind, onReplace);
  const messages = behind.length > 0 ? enterInto(path, behind, notice === '') : 0;
  forgetKept(path);
  endLog(`${path}-wal`, notice === '');
  if (finished) return finished;
  if (messages > 0) return { kind: 'log-damaged', messages };
  return notice === '' ? undefined : { kind: 'log-renewed', reason: notice.trim() };
}

/** SQLite keeps the log beside the file that the link leads to, and recovery looks for it beside the link. */
function refuseLink(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink())
    throw new Error('it is a symbolic link: put the file in its place, or link the whole state folder');
}

/** Undefined if nothing is damaged for good. */
function findDamage(path: string, notice: string): string | undefined {
  const isTold = tellsOfDamage(notice);
  const unreadable = isTold || tellsOfUnreadable(notice) ? findUnreadable(path) : undefined;
  if (unreadable !== undefined) return unreadable;
  if (isTold) return lookAgain(path, notice);
  const seen = lookBriefly(path);
  if (seen) return findUnreadable(path) ?? (seen.kind === 'damage' ? lookAgain(path, seen.what) : undefined);
  rmSync(markOf(path), { force: true });
  return undefined;
}

/**
 * Reads all of a store that seems to be damaged. The mark says that this was done lately: then the next word counts, so no
 * store is looked through again and again, also where the process is ended while it looks.
 */
function lookAgain(path: string, told: string): string | undefined {
  if (isDoubted(path)) return told;
  writeFileSync(markOf(path), '');
  const seen = look(path, 'integrity_check');
  return seen?.kind === 'damage' ? seen.what : undefined;
}

/** After a step of the clock an old mark may count, or a new one may not. */
function isDoubted(path: string): boolean {
  const mark = statSync(markOf(path), { throwIfNoEntry: false });
  return mark !== undefined && Math.abs(Date.now() - mark.mtimeMs) < DOUBT_MS;
}

function markOf(path: string): string {
  return `${path}.doubted`;
}

interface Seen {
  readonly kind: 'damage' | 'unreadable';
  readonly what: string;
}

function lookBriefly(path: string): Seen | undefined {
  return look(path, sizeOf(path) > LOOKED_THROUGH_BYTES ? 'free_list' : 'quick_check');
}

/** Writes nothing. Undefined: nothing is wrong. */
function look(path: string, check: Check): Seen | undefined {
  try {
    const what = findProblem(path, check);
    return what === undefined ? undefined : { kind: isReadError(what) ? 'unreadable' : 'damage', what };
  } catch (error) {
    const kind = classifyError(error as StoreError);
    if (!isAboutContent(kind)) throw error;
    return { kind, what: (error as Error).message };
  }
}

function rebuild(path: string, reason: string, behind: readonly Row[], onReplace: () => void): Recovered {
  const salvaged = copyReadable(path, behind);
  const setAside = putInPlace(path, onReplace);
  forgetKept(path);
  return { kind: 'rebuilt', reason, setAside, ...salvaged };
}

/** A kill behind this must not lose the rows behind the break, so the new store has them. */
function copyReadable(path: string, behind: readonly Row[]): Salvaged {
  const building = `${path}.building`;
  try {
    const salvaged = salvage(path, building, behind);
    syncFolder(building);
    renameSync(building, `${path}.new`);
    syncFolder(path);
    return salvaged;
  } catch (error) {
    removeStore(building);
    throw new Error(
      `Cannot copy what is left of the damaged queue "${path}" (${(error as Error).message}): make room on its volume`,
      { cause: error },
    );
  }
}

/** If no process has the store open, all who had it were killed: the last one that closes a store takes the log away. */
export function hasLog(path: string): boolean {
  return holdsBytes(`${path}-wal`);
}

/** A rebuild was ended. What is entered into the old store now would go with it. */
export function isHalfRebuilt(path: string): boolean {
  return existsSync(`${path}.new`);
}

/**
 * A rebuild that was ended. The new store was complete before it got its name. What is no whole store, as half a copy by
 * another hand, replaces none.
 */
function finishRebuild(path: string, onReplace: () => void): Recovered | undefined {
  if (!isHalfRebuilt(path)) return undefined;
  if (holdsBytes(path) && !isWholeStore(`${path}.new`)) {
    renameSync(`${path}.new`, nameAside(path));
    return undefined;
  }
  const setAside = putInPlace(path, onReplace);
  const store = new OpenStore(path, 'late');
  try {
    const { records, damaged } = store.tables;
    const reason = 'a rebuild that was ended';
    return { kind: 'rebuilt', reason, setAside, messages: records.count(), lost: damaged.keys() };
  } finally {
    store.close();
  }
}

function isWholeStore(path: string): boolean {
  const isWhole = lstatSync(path).isFile() && holdsBytes(path) && lookBriefly(path) === undefined;
  removeEmptyLog(path);
  return isWhole;
}

/**
 * Only the first transaction of a store has a journal, and it writes one page. Any other journal is that of another store,
 * and SQLite would write the pages of that one into this one.
 */
function setJournalAside(path: string): void {
  const journal = `${path}-journal`;
  const isUnfinished = sizeOf(path) <= PAGE_BYTES && !hasLog(path);
  if (existsSync(journal) && !isUnfinished) renameSync(journal, `${nameAside(path)}-journal`);
}

/** Renames the store and puts its successor in its place. Returns the new name of the old store. */
function putInPlace(path: string, onReplace: () => void): string {
  onReplace();
  const aside = nameAside(path);
  for (const part of PARTS) if (holdsBytes(path + part)) renameSync(path + part, aside + part);
  removeEmptyLog(path);
  rmSync(markOf(path), { force: true });
  renameSync(`${path}.new`, path);
  syncFolder(path);
  return aside;
}

/** A look leaves it. */
function removeEmptyLog(path: string): void {
  if (hasLog(path)) return;
  for (const part of ['-wal', '-shm']) rmSync(path + part, { force: true });
}

function holdsBytes(path: string): boolean {
  return sizeOf(path) > 0;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function nameAside(path: string): string {
  const name = `${path}.damaged-${new Date().toISOString().replace(/[-:]|\.\d+/g, '')}`;
  for (let count = 1; ; count++) {
    const candidate = count === 1 ? name : `${name}-${count}`;
    if (!PARTS.some((part) => existsSync(candidate + part))) return candidate;
  }
}

function removeStore(path: string): void {
  for (const part of ['', '-wal', '-shm', '-journal']) rmSync(path + part, { force: true });
}
