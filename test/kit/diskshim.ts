/**
 * A library in C (test/crash/programs/diskshim.c) between a relay and its disk. All processes of the relay preload it.
 * It numbers each call that changes the state folder, for each kind of process. At the command of a test, while the
 * relay runs, it lets calls fail, ends a process or the whole relay before or after a call, ignores a kind of sync, and
 * records all calls in one order (diskrecord.ts). As on Linux, a sync that fails also fails once for whoever else has the
 * file open.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTROL_SOCKET } from '#crds/wellknown.ts';

const SOURCE = new URL('../crash/programs/diskshim.c', import.meta.url).pathname;
const CACHE = new URL('../../node_modules/.cache/diskshim/', import.meta.url).pathname;

/** A part of the command line that identifies each kind of process. The first kind starts the others. */
const KINDS = {
  supervisor: 'cli/main.ts',
  listener: 'listener/main.ts',
  router: 'router/main.ts',
  giver: 'giver/main.ts',
  receiver: 'receiver/main.ts',
} as const;
export type ProcessKind = keyof typeof KINDS;
export const PROCESS_KINDS = Object.keys(KINDS) as readonly ProcessKind[];

/** Folders that a pod mounts, and a socket. */
const OMITTED = ['inputs', 'local-ca', CONTROL_SOCKET];
/** SQLite's index of the log. It is in shared memory, and SQLite creates it again. */
const OMITTED_ENDING = '-shm';

/** In the order of the library. */
export const CALLS = [
  '',
  'open',
  'write',
  'truncate',
  'sync',
  'synced',
  'rename',
  'unlink',
  'mkdir',
  'link',
] as const;
export type Call = Exclude<(typeof CALLS)[number], ''>;
const MODES = ['none', 'fail', 'shorten', 'kill before', 'kill after'] as const;
const ERRORS = { EIO: 5, ENOSPC: 28, EDQUOT: 122 } as const;
const AT = {
  mode: 0,
  from: 16,
  fired: 44,
  records: 48,
  deafKind: 56,
  counts: 64,
  pattern: 128,
  deaf: 256,
  firedAt: 384,
};
const ALL_CALLS = 0xffffffff;
const FOR_EVER = 2n ** 62n;

type Harm =
  | { readonly kind: 'fail'; readonly error: keyof typeof ERRORS; readonly lasting?: boolean }
  | { readonly kind: 'shorten' }
  | { readonly kind: 'kill before' | 'kill after'; readonly whole: boolean };

export interface Fault {
  readonly harm: Harm;
  /** The kind of process that makes the call; undefined: any. */
  readonly by?: ProcessKind;
  /** The number of the call that gets the fault, from 1, among the matching calls. */
  readonly at: number;
  /** The matching calls; all by default. */
  readonly calls?: readonly Call[];
  /** A pattern of names in the state folder; all by default. */
  readonly name?: string;
}

/** A place in the code that syncs. SQLite syncs in the main thread, our own code in the pool. */
export interface SyncSite {
  readonly by: ProcessKind;
  readonly name: string;
  readonly thread: 'main' | 'pool' | 'any';
}

/** True if changes of this name in the state folder count. */
export function isMeant(name: string): boolean {
  return !OMITTED.includes(name.split('/', 1)[0] ?? '') && !name.endsWith(OMITTED_ENDING);
}

/** Why the library cannot be used; with CI set that is a failure. */
export function shimProblem(): string | undefined {
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    if (process.env['CI']) throw new Error('There is no C compiler (cc): install gcc');
    process.stderr.write('SKIPPED: the disk under the relay is not tested without a C compiler (cc)\n');
    return 'there is no C compiler (cc)';
  }
}

export class DiskShim {
  readonly stateDir: string;
  readonly log: string;
  readonly #dir = mkdtempSync(join(tmpdir(), 'diskshim-'));
  readonly #control: number;
  readonly #logFile: number;

  /** `dir` is the folder of the relay, which keeps its state in `state` below it. */
  constructor(dir: string) {
    this.stateDir = join(realpathSync(dir), 'state');
    this.log = join(this.#dir, 'log');
    this.#control = openSync(join(this.#dir, 'control'), 'w+');
    writeSync(this.#control, Buffer.alloc(4096));
    this.#logFile = openSync(this.log, 'w+');
  }

  /** The environment for the start of the relay. */
  env(): Record<string, string> {
    return {
      LD_PRELOAD: compiled(),
      DISKSHIM_STATE: this.stateDir,
      DISKSHIM_OMIT: [`*${OMITTED_ENDING}`, ...OMITTED.flatMap((name) => [name, `${name}/*`])].join(':'),
      DISKSHIM_KINDS: Object.entries(KINDS)
        .map(([kind, part]) => `${kind}=${part}`)
        .join(','),
      DISKSHIM_CONTROL: join(this.#dir, 'control'),
      DISKSHIM_LOG: this.log,
    };
  }

  /** The number of calls so far by processes of a kind. */
  count(kind: ProcessKind): number {
    return Number(this.#read(AT.counts + 8 * numberOf(kind), 8).readBigUInt64LE());
  }

  /** Sets a fault. Calls are counted from now on. */
  arm({ harm, by, at, calls, name = '*' }: Fault): void {
    this.disarm();
    const mask = calls ? calls.reduce((sum, call) => sum | (1 << CALLS.indexOf(call)), 0) >>> 0 : ALL_CALLS;
    const terms = Buffer.alloc(AT.records - AT.mode);
    terms.writeUInt32LE(by ? numberOf(by) : 0, 4);
    terms.writeUInt32LE(harm.kind === 'fail' ? ERRORS[harm.error] : 0, 8);
    terms.writeUInt32LE(mask, 12);
    terms.writeBigUInt64LE(BigInt(at), AT.from);
    terms.writeBigUInt64LE(harm.kind === 'fail' && harm.lasting ? FOR_EVER : 1n, 24);
    terms.writeUInt32LE('whole' in harm && harm.whole ? 1 : 0, 40);
    writeSync(this.#control, terms, 0, terms.length, AT.mode);
    this.#writeText(AT.pattern, name);
    this.#writeNumber(AT.mode, MODES.indexOf(harm.kind));
  }

  disarm(): void {
    this.#writeNumber(AT.mode, 0);
  }

  /** The place of the last fault; undefined if there was none since `arm`. */
  get fired(): string | undefined {
    if (this.#read(AT.fired, 4).readUInt32LE() === 0) return undefined;
    const [kind, call, ...name] = this.#readText(AT.firedAt).split(' ');
    return `${PROCESS_KINDS[Number(kind) - 1]}: ${CALLS[Number(call)]} ${name.join(' ')}`;
  }

  /** From now on the syncs of this place do nothing and are not recorded. */
  ignoreSyncs({ by, name, thread }: SyncSite): void {
    this.#writeNumber(AT.deafKind, numberOf(by));
    this.#writeNumber(AT.deafKind + 4, ['any', 'main', 'pool'].indexOf(thread));
    this.#writeText(AT.deaf, name);
  }

  /** Whether the record has the written bytes or only the calls. */
  recordBytes(wanted: boolean): void {
    this.#writeNumber(AT.records, wanted ? 1 : 0);
  }

  /** The length of the record: a point in the order of all calls. */
  get now(): number {
    return fstatSync(this.#logFile).size;
  }

  recorded(from = 0, to = this.now): Buffer {
    return this.#read(from, to - from, this.#logFile);
  }

  remove(): void {
    closeSync(this.#control);
    closeSync(this.#logFile);
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #read(at: number, bytes: number, file = this.#control): Buffer {
    const read = Buffer.alloc(bytes);
    readSync(file, read, 0, bytes, at);
    return read;
  }

  #readText(at: number): string {
    const text = this.#read(at, 128).toString();
    return text.slice(0, text.indexOf('\0'));
  }

  #writeText(at: number, text: string): void {
    const room = Buffer.alloc(128);
    room.write(text);
    writeSync(this.#control, room, 0, room.length, at);
  }

  #writeNumber(at: number, value: number): void {
    const room = Buffer.alloc(4);
    room.writeUInt32LE(value);
    writeSync(this.#control, room, 0, 4, at);
  }
}

function numberOf(kind: ProcessKind): number {
  return PROCESS_KINDS.indexOf(kind) + 1;
}

/** The compiled library. Each version of the source is compiled once. */
function compiled(): string {
  const hash = createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 16);
  const library = join(CACHE, `diskshim-${hash}.so`);
  if (existsSync(library)) return library;
  mkdirSync(CACHE, { recursive: true });
  const fresh = `${library}.${process.pid}`;
  execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-o', fresh, SOURCE]);
  renameSync(fresh, library);
  return library;
}
