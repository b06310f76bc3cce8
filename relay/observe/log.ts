/**
 * Writes one JSON line per event to one file descriptor. Values come from clients and peers. JSON escapes every control
 * character (RFC 8259 section 7), so an event is always one line. Callers never log bodies, keys or credentials.
 */
import { writeSync } from 'node:fs';

type Value = string | number | boolean | null | undefined | readonly string[];

export type Log = (event: string, fields?: Readonly<Record<string, Value>>) => void;

/** `clock` returns milliseconds. `fd` is 1 or 2. A closed descriptor must not end a relay, so EPIPE is ignored. */
export function jsonLog(task: string, fd: number, clock: () => number): Log {
  const write = lineWriter(fd);
  return (event, fields = {}) =>
    write(JSON.stringify({ time: new Date(clock()).toISOString(), task, event, ...fields }));
}

export function lineWriter(fd: number): (line: string) => void {
  return (line) => {
    try {
      writeSync(fd, `${line}\n`);
    } catch (error) {
      // EAGAIN: the reader of a non-blocking pipe is too slow. A lost log line is better than a blocked relay.
      if (!['EPIPE', 'EAGAIN'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  };
}
