/**
 * Writes one JSON line per event to one file descriptor. Values come from clients and peers. What a terminal would obey is an
 * escape, so an event is always one line, and harmless where a person reads it. Callers never log bodies, keys or credentials. Level and
 * addresses of `spec.logging` are applied here, for every process. Only traces (trace.ts) do not go through here.
 */
import { createHmac } from 'node:crypto';
import { writeSync } from 'node:fs';
import type { Policy } from '#crds/policyfile.ts';
import { escapeUnseen } from '#crds/visible.ts';
import { timestamp } from '../task/timestamp.ts';
import { type Fields, hideAddresses } from './addresses.ts';
import { findLevel, isLogged, type LogEvent } from './levels.ts';
import { readLogKey } from './logkey.ts';

type Logging = Policy['logging'];

export type Log = (event: LogEvent, fields?: Fields) => void;

/** The log of a process. */
export interface ProcessLog extends Log {
  /** `stateDir` has the key of the hashes. */
  obey(logging: Logging, stateDir: string): void;
}

export interface TaskLog extends ProcessLog {
  /** What is told elsewhere, with addresses as the log has them. */
  hide(fields: Fields): Fields;
}

/** Until the policy is known no local part is written. */
const AT_FIRST: Logging = { level: 'info', addresses: 'Domain' };
/** 64 bits: two addresses of one relay hardly ever have the same name. */
const HASH_DIGITS = 16;

/** `clock` returns milliseconds. `fd` is 1 or 2. What it does not take is lost. */
export function jsonLog(task: string, fd: number, clock: () => number): TaskLog {
  const write = lineWriter(fd);
  let { level: least, addresses } = AT_FIRST;
  let hash = (_address: string) => '';
  const log: Log = (event, fields = {}) => {
    if (!isLogged(event, least)) return;
    const time = timestamp(clock());
    write(escapeUnseen(JSON.stringify({ time, level: findLevel(event), task, event, ...hide(fields) })));
  };
  const hide: TaskLog['hide'] = (fields) => hideAddresses(fields, addresses, hash);
  const obey: ProcessLog['obey'] = (logging, stateDir) => {
    ({ level: least, addresses } = logging);
    if (addresses === 'Hash') hash = hashWith(readLogKey(stateDir));
  };
  return Object.assign(log, { obey, hide });
}

/** Domains are compared without case, and people write local parts in any. */
function hashWith(key: Buffer): (address: string) => string {
  return (address) =>
    createHmac('sha256', key).update(address.toLowerCase()).digest('hex').slice(0, HASH_DIGITS);
}

export function lineWriter(fd: number): (line: string) => void {
  return (line) => {
    try {
      writeSync(fd, `${line}\n`);
    } catch {
      // The reader has gone or is too slow, or the disk of the log is full. A lost log line is better than lost mail.
    }
  };
}
